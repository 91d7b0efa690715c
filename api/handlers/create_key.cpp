// SPDX-License-Identifier: Apache-2.0
// POST keys/:name (transit-api 6.1), and the creation that encrypt does on demand (6.9), which never
// makes keys in HSMs.
#include "kms/operations/create_key.h"

#include <algorithm>

#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/handlers/key_name.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

constexpr std::string_view kExternalKey = "external-key";

Result<KeyProtection> ProtectionOf(const Fields& fields) {
  const bool external = fields.Text("type") == kExternalKey;
  const std::string_view reference = fields.Text("external_key_ref");
  if (external && reference.empty()) {
    return InvalidArgument("must provide external_key_ref to create policy of type external-key");
  }
  if (!external && !reference.empty()) {
    return InvalidArgument("must provide type=external-key to use external_key_ref");
  }
  const std::string_view name = fields.Text("protection");
  if (!name.empty() && name != "software" && name != "hsm") {
    return InvalidArgument("protection must be \"software\" or \"hsm\"");
  }
  if (external && name == "software") {
    return InvalidArgument("external keys are protected by their HSM, not by software");
  }
  if (external) {
    return KeyProtection::kExternal;
  }
  return name == "hsm" ? KeyProtection::kHsm : KeyProtection::kSoftware;
}

// The tokens to make the key in: those of the environment, or the one that was asked for.
Result<std::vector<std::string>> HsmsFor(const Call& call, KeyProtection protection) {
  const std::string wanted(call.fields.Text("hsm"));
  if (protection != KeyProtection::kHsm) {
    if (!wanted.empty()) {
      return InvalidArgument(R"(hsm is only for keys of protection "hsm")");
    }
    return std::vector<std::string>();
  }
  std::vector<std::string> members =
      call.services.environments.MembersOf(call.environment->identity().name);
  if (wanted.empty()) {
    return members;
  }
  if (std::ranges::find(members, wanted) != members.end()) {
    return std::vector{wanted};
  }
  std::string names;
  for (const std::string& member : members) {
    names += (names.empty() ? "" : ", ") + member;
  }
  return InvalidArgument("HSM " + wanted.substr(0, 64) +
                         " does not serve this environment; it is served by " + names);
}

Result<KeyType> TypeOf(const Fields& fields) {
  const std::string_view name = fields.Text("type");
  const std::optional<KeyType> type = FindKeyType(name.empty() ? "aes256-gcm96" : name);
  if (!type) {
    return InvalidArgument("unknown key type " + std::string(name.substr(0, 64)));
  }
  return *type;
}

Result<CreateKeyRequest> ReadRequest(const Call& call) {
  const Fields& fields = call.fields;
  const KeyProtection protection = KMS_TRY(ProtectionOf(fields));
  const bool external = protection == KeyProtection::kExternal;
  return CreateKeyRequest{
      .type = external ? KeyType::kAes256Gcm96 : KMS_TRY(TypeOf(fields)),
      .derived = fields.Boolean("derived"),
      .convergent_encryption = fields.Boolean("convergent_encryption"),
      .exportable = fields.Boolean("exportable"),
      .allow_plaintext_backup = fields.Boolean("allow_plaintext_backup"),
      .auto_rotate_period_seconds = fields.Integer("auto_rotate_period"),
      .key_size = fields.Integer("key_size"),
      .protection = protection,
      .hsms = KMS_TRY(HsmsFor(call, protection)),
      .external_key_ref = std::string(fields.Text("external_key_ref")),
  };
}

// Encryption on demand makes keys that encrypt, of the types that the contract lists.
Result<KeyType> OnDemandTypeOf(const Fields& fields) {
  const std::string_view name = fields.Text("type");
  const std::string shown(name.substr(0, 64));
  if (name.starts_with("ecdsa-")) {
    return InvalidArgument("key type " + shown + " not supported for this operation");
  }
  const KeyType type = KMS_TRY(TypeOf(fields));
  if (TraitsOf(type).family != KeyFamily::kAead) {
    return InvalidArgument("unknown key type " + shown);
  }
  return type;
}

}  // namespace

Result<Reply> HandleCreateKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const CreateKeyRequest request = KMS_TRY(ReadRequest(call));
  const CreateKeyOutcome outcome = KMS_TRY(CreateKey(*call.environment, name, request));
  Reply reply = Reply::Data(KMS_TRY(DescribeKey(*call.environment, *outcome.key)));
  if (outcome.already_existed) {
    reply.warnings.push_back("key " + name.text() + " already existed");
  }
  return reply;
}

Result<KeyHandle> CreateOnDemand(Call& call, const KeyName& name, bool with_context) {
  const CreateKeyRequest request{
      .type = KMS_TRY(OnDemandTypeOf(call.fields)),
      .derived = with_context,
      .convergent_encryption = call.fields.Boolean("convergent_encryption")};
  if (request.convergent_encryption && !with_context) {
    return InvalidArgument(
        "convergent encryption requires derivation to be enabled, so context is required");
  }
  KMS_TRY(call.record_attempt());
  return KMS_TRY(CreateKey(*call.environment, name, request)).key;
}

}  // namespace kms::api
