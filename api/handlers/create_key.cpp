// SPDX-License-Identifier: Apache-2.0
// POST keys/:name (transit-api 6.1), and the creation that encrypt does on demand (6.9).
#include "kms/operations/create_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/handlers/key_name.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

Result<KeyType> TypeOf(const Fields& fields) {
  const std::string_view name = fields.Text("type");
  const std::optional<KeyType> type = FindKeyType(name.empty() ? "aes256-gcm96" : name);
  if (!type) {
    return InvalidArgument("unknown key type " + std::string(name.substr(0, 64)));
  }
  return *type;
}

Result<CreateKeyRequest> ReadRequest(const Fields& fields) {
  return CreateKeyRequest{
      .type = KMS_TRY(TypeOf(fields)),
      .derived = fields.Boolean("derived"),
      .convergent_encryption = fields.Boolean("convergent_encryption"),
      .exportable = fields.Boolean("exportable"),
      .allow_plaintext_backup = fields.Boolean("allow_plaintext_backup"),
      .auto_rotate_period_seconds = fields.Integer("auto_rotate_period"),
      .key_size = fields.Integer("key_size"),
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
  const CreateKeyRequest request = KMS_TRY(ReadRequest(call.fields));
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
