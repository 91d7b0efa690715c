// SPDX-License-Identifier: Apache-2.0
// POST keys/:name/import and keys/:name/import_version (transit-api 6.21, 6.22).
#include "kms/operations/import_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/import_source.h"
#include "api/pipeline/call.h"
#include "kms/operations/import_version.h"
#include "kms/operations/wrapping_key_device.h"

namespace kms::api {
namespace {

Result<ImportKeyRequest> ReadRequest(const Fields& fields) {
  if (fields.Has("convergent_encryption")) {
    return InvalidArgument("import cannot be used on keys with convergent encryption enabled");
  }
  const std::string_view type_name = fields.Text("type");
  const std::optional<KeyType> type = FindTypeInAnyCase(type_name);
  if (!type) {
    return InvalidArgument("unknown key type: " + std::string(type_name.substr(0, 64)));
  }
  return ImportKeyRequest{
      .type = *type,
      .source = ReadImportSource(fields),
      .derived = fields.Boolean("derived"),
      .exportable = fields.Boolean("exportable"),
      .allow_plaintext_backup = fields.Boolean("allow_plaintext_backup"),
      .allow_rotation = fields.Boolean("allow_rotation"),
      .auto_rotate_period_seconds = fields.Integer("auto_rotate_period"),
  };
}

}  // namespace

Result<Reply> HandleImportKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const ImportKeyRequest request = KMS_TRY(ReadRequest(call.fields));
  const std::shared_ptr<GuardedDevice> device =
      KMS_TRY(FindWrappingKeyDevice(call.services.environments, *call.environment));
  KMS_TRY(ImportKey(*call.environment, *device, name, request));
  call.key_version = 1;
  return Reply::NoContent();
}

Result<Reply> HandleImportVersion(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const ImportVersionRequest request{.source = ReadImportSource(call.fields),
                                     .version = call.fields.OptionalInteger("version")};
  const std::shared_ptr<GuardedDevice> device =
      KMS_TRY(FindWrappingKeyDevice(call.services.environments, *call.environment));
  const ImportVersionOutcome outcome =
      KMS_TRY(ImportVersion(*call.environment, *device, name, request));
  call.key_version = outcome.version;
  return Reply::NoContent();
}

}  // namespace kms::api
