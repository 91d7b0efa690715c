// SPDX-License-Identifier: Apache-2.0
// sys/wrapping/… (transit-api 9.9). Whoever holds a wrapping token needs no other one: all but wrap
// are open like a login, and a token that comes along besides must be good.
#include <string>
#include <utility>

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_text.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/presented_token.h"
#include "api/pipeline/response_wrapping.h"
#include "kms/auth/acl.h"
#include "kms/identity/wrapped_responses.h"

namespace kms::api {
namespace {

Error Denied() { return MakeError(ErrorCode::kPermissionDenied, "permission denied"); }

// The token that came along with one in the body.
Status CheckCompanion(const Call& call, std::string_view token) {
  TokenStore& tokens = call.services.identity.tokens();
  const TokenContext context{.address = call.client_address,
                             .certificate = call.request.certificates != nullptr
                                                ? &call.request.certificates->leaf_digest
                                                : nullptr};
  const PrincipalHandle principal = KMS_TRY(tokens.Authenticate(token, context));
  if (!principal->is_root &&
      !principal->acl->Decide(call.policy_path, Capability::kUpdate).allowed) {
    return Denied();
  }
  return tokens.SpendUse(*principal);
}

// The wrapping token: of the body, else the one that is presented.
Result<std::string_view> WrappingToken(const Call& call) {
  const std::string_view presented = PresentedToken(call.request);
  const std::string_view named = call.fields.Text("token");
  if (presented.size() > call.services.options.max_token_bytes ||
      named.size() > call.services.options.max_token_bytes) {
    return Denied();
  }
  if (named.empty()) {
    return presented;
  }
  const bool same = EqualInConstantTime(AsBytes(named), AsBytes(presented));
  if (!presented.empty() && !same) {
    KMS_TRY(CheckCompanion(call, presented));
  }
  return named;
}

}  // namespace

// The pipeline wraps the answer.
Result<Reply> HandleWrap(Call& call) {
  const std::string_view ttl = call.request.Header("X-Vault-Wrap-TTL").value_or("");
  const Result<std::int64_t> seconds = ParseDurationSeconds(ttl.empty() ? "0" : ttl);
  if (!seconds || *seconds == 0) {
    return InvalidArgument("endpoint requires response wrapping to be used");
  }
  const JsonBody body = KMS_TRY(JsonBody::Parse(call.request.body, call.services.options.json));
  Reply reply;
  reply.data.reserve(call.request.body.size() + 64);
  AppendJson(body.root(), reply.data);
  reply.holds_secret = true;
  return reply;
}

Result<Reply> HandleUnwrap(Call& call) {
  const std::string_view token = KMS_TRY(WrappingToken(call));
  UnwrappedResponse unwrapped =
      KMS_TRY(call.services.identity.wrapped().Unwrap(token, call.name_space));
  call.audit.wrapped_accessor = unwrapped.description.accessor;
  Reply reply;
  reply.data = std::move(unwrapped.content.data);
  reply.auth = std::move(unwrapped.content.auth);
  reply.warnings = std::move(unwrapped.content.warnings);
  reply.holds_secret = true;
  return reply;
}

Result<Reply> HandleLookupWrapping(Call& call) {
  const std::string_view token = KMS_TRY(WrappingToken(call));
  const WrapDescription found =
      KMS_TRY(call.services.identity.wrapped().Lookup(token, call.name_space));
  call.audit.wrapped_accessor = found.accessor;
  std::string out;
  JsonObject object(out);
  object.String("creation_path", found.creation_path);
  object.String("creation_time", ToRfc3339(found.creation_time));
  object.Integer("creation_ttl", found.ttl_seconds);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleRewrapResponse(Call& call) {
  const std::string_view token = KMS_TRY(WrappingToken(call));
  const WrapInfo wrapped = KMS_TRY(call.services.identity.wrapped().Rewrap(token, call.name_space));
  call.audit.wrapped_accessor = wrapped.description.accessor;
  return ReplyWithWrapInfo(wrapped);
}

}  // namespace kms::api
