// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/response_wrapping.h"

#include <openssl/crypto.h>

#include <string>
#include <utility>

#include "api/pipeline/json_body.h"
#include "api/pipeline/json_writer.h"
#include "kms/identity/wrapped_responses.h"

namespace kms::api {
namespace {

constexpr std::string_view kApiPrefix = "/v1/";

// The accessor of the token that `auth` shows; empty: none.
std::string AccessorIn(std::string_view auth, const JsonLimits& limits) {
  const Result<JsonBody> parsed = JsonBody::Parse(auth, limits);
  return parsed ? std::string(parsed->root().Find("accessor").String()) : std::string();
}

std::string_view CreationPath(const Call& call) {
  std::string_view path = call.request.path;
  path.remove_prefix(path.starts_with(kApiPrefix) ? kApiPrefix.size() : 0);
  return path;
}

void Wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

}  // namespace

Status WrapReply(Call& call, std::int64_t ttl_seconds, Reply& reply) {
  if (reply.kind == Reply::Kind::kBare) {
    return InvalidArgument("the answer of this endpoint cannot be wrapped");
  }
  if (reply.kind != Reply::Kind::kData || (reply.data.empty() && reply.auth.empty())) {
    return Ok();
  }
  const std::string wrapped_accessor = AccessorIn(reply.auth, call.services.options.json);
  const std::string_view environment =
      call.environment == nullptr ? call.name_space : call.environment->identity().name;
  const WrapRequest request{
      .response = {.data = reply.data, .auth = reply.auth, .warnings = reply.warnings},
      .creation_path = CreationPath(call),
      .environment = environment,
      .wrapped_accessor = wrapped_accessor,
      .ttl_seconds = ttl_seconds};
  const Result<WrapInfo> wrapped = call.services.identity.wrapped().Wrap(request);
  Wipe(reply.data);
  Wipe(reply.auth);
  if (!wrapped) {
    return wrapped.error();
  }
  call.audit.wrapped_accessor = wrapped->description.accessor;
  reply = ReplyWithWrapInfo(*wrapped);
  return Ok();
}

Reply ReplyWithWrapInfo(const WrapInfo& wrapped) {
  const WrapDescription& description = wrapped.description;
  Reply reply;
  reply.kind = Reply::Kind::kWrapped;
  reply.holds_secret = true;
  std::string& out = reply.wrap_info;
  out.reserve(512 + wrapped.token.size() + description.creation_path.size() * 2);
  JsonObject object(out);
  object.String("token", AsText(wrapped.token.View()));
  object.String("accessor", description.accessor);
  object.Integer("ttl", description.ttl_seconds);
  object.String("creation_time", ToRfc3339(description.creation_time));
  object.String("creation_path", description.creation_path);
  if (!description.wrapped_accessor.empty()) {
    object.String("wrapped_accessor", description.wrapped_accessor);
  }
  object.Close();
  return reply;
}

}  // namespace kms::api
