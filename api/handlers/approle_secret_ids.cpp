// SPDX-License-Identifier: Apache-2.0
// role/:name/secret-id… and tidy/secret-id of approle mounts (transit-api 10.3).
#include <algorithm>

#include "api/handlers/approle_fields.h"
#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_parameter_fields.h"

namespace kms::api {
namespace {

constexpr std::string_view kNeverExpires = "0001-01-01T00:00:00Z";

AppRoles& RolesOf(Call& call) { return call.services.identity.approles(); }

// The contract has metadata as JSON inside of a string.
Result<std::map<std::string, std::string>> MetadataOf(const Call& call) {
  std::map<std::string, std::string> metadata;
  const std::string_view text = call.fields.Text("metadata");
  if (text.empty()) {
    return metadata;
  }
  const Result<JsonBody> parsed = JsonBody::Parse(text, call.services.options.json);
  if (!parsed.has_value()) {
    return InvalidArgument("failed to parse metadata: it must be a JSON object of strings");
  }
  bool all_texts = true;
  parsed->root().ForEachMember([&](std::string_view key, JsonView value) {
    all_texts = all_texts && value.kind() == JsonKind::kString;
    metadata.emplace(key, value.String());
  });
  if (!all_texts) {
    return InvalidArgument("failed to parse metadata: it must be a JSON object of strings");
  }
  return metadata;
}

Result<SecretIdRequest> RequestOf(const Call& call) {
  SecretIdRequest request;
  request.metadata = KMS_TRY(MetadataOf(call));
  request.cidr_list = KMS_TRY(CidrField(call.fields, "cidr_list"));
  request.token_bound_cidrs = KMS_TRY(CidrField(call.fields, "token_bound_cidrs"));
  request.num_uses = call.fields.OptionalInteger("num_uses");
  request.ttl_seconds = call.fields.OptionalInteger("ttl");
  request.secret_id = call.fields.Text("secret_id");
  return request;
}

Result<Reply> Create(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const SecretIdRequest request = KMS_TRY(RequestOf(call));
  const NewSecretId made = KMS_TRY(RolesOf(call).CreateSecretId(*call.auth_mount, name, request));
  const std::string_view secret_id =
      request.secret_id.empty() ? AsText(made.secret_id.View()) : request.secret_id;
  Reply reply;
  reply.holds_secret = true;
  reply.data.reserve(512 + secret_id.size() * 6);  // escaped, and never moved
  JsonObject object(reply.data);
  object.String("secret_id", secret_id);
  object.String("secret_id_accessor", made.accessor);
  object.Integer("secret_id_num_uses", made.num_uses);
  object.Integer("secret_id_ttl", made.ttl_seconds);
  object.Close();
  return reply;
}

std::string TimeText(std::int64_t unix_seconds) {
  return unix_seconds == 0 ? std::string(kNeverExpires)
                           : ToRfc3339(WallTime(std::chrono::seconds(unix_seconds)));
}

Reply Describe(const StoredSecretId& secret_id) {
  std::string data;
  JsonObject object(data);
  AppendCidrs("cidr_list", secret_id.cidr_list, object, data);
  object.String("creation_time", TimeText(secret_id.created_unix_seconds));
  object.String("expiration_time", TimeText(secret_id.expires_unix_seconds));
  object.String("last_updated_time", TimeText(secret_id.updated_unix_seconds));
  object.Key("metadata");
  JsonObject metadata(data);
  for (const auto& [key, value] : secret_id.metadata) {
    metadata.String(key, value);
  }
  metadata.Close();
  object.String("secret_id_accessor", secret_id.accessor);
  object.Integer("secret_id_num_uses", secret_id.uses_left);
  object.Integer("secret_id_ttl", secret_id.ttl_seconds);
  AppendCidrs("token_bound_cidrs", secret_id.token_bound_cidrs, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace

Result<Reply> HandleCreateSecretId(Call& call) { return Create(call); }

Result<Reply> HandleCreateCustomSecretId(Call& call) {
  if (call.fields.Text("secret_id").empty()) {
    return InvalidArgument("missing secret_id");
  }
  return Create(call);
}

Result<Reply> HandleListSecretIds(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const auto limit =
      static_cast<std::size_t>(std::max<std::int64_t>(call.fields.Integer("limit"), 0));  // 0: all
  const std::vector<std::string> accessors = KMS_TRY(
      RolesOf(call).ListSecretIds(*call.auth_mount, name, call.fields.Text("after"), limit));
  return ReplyWithKeys(accessors);
}

Result<Reply> HandleLookupSecretId(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const std::optional<StoredSecretId> found =
      KMS_TRY(RolesOf(call).LookupSecretId(*call.auth_mount, name, call.fields.Text("secret_id")));
  return found ? Describe(*found) : Reply::NoContent();
}

Result<Reply> HandleDestroySecretId(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(RolesOf(call).DestroySecretId(*call.auth_mount, name, call.fields.Text("secret_id")));
  return Reply::NoContent();
}

Result<Reply> HandleLookupSecretIdAccessor(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const StoredSecretId found = KMS_TRY(
      RolesOf(call).LookupAccessor(*call.auth_mount, name, call.fields.Text("secret_id_accessor")));
  return Describe(found);
}

Result<Reply> HandleDestroySecretIdAccessor(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(RolesOf(call).DestroyAccessor(*call.auth_mount, name,
                                        call.fields.Text("secret_id_accessor")));
  return Reply::NoContent();
}

// At once, unlike the reference, which only begins to: clients see the same status.
Result<Reply> HandleTidySecretIds(Call& call) {
  KMS_TRY(RolesOf(call).Tidy(*call.auth_mount, [] { return false; }));
  return Reply::NoContent();
}

}  // namespace kms::api
