// SPDX-License-Identifier: Apache-2.0
// GET backup/:name and POST restore(/:name) (transit-api 6.23). Three refusals stay 500 as in the
// reference servers: clients tell them by it (8.3).
#include <openssl/crypto.h>

#include "api/handlers/handlers.h"
#include "api/handlers/key_name.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/operations/backup_key.h"
#include "kms/operations/restore_key.h"

namespace kms::api {

Result<Reply> HandleBackup(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  Result<BackupOutcome> outcome = BackUpKey(*call.environment, name);
  if (!outcome.has_value() && outcome.error().code == ErrorCode::kPermissionDenied) {
    return Reply::Refused(outcome.error().public_message);
  }
  BackupOutcome backup = KMS_TRY(std::move(outcome));
  call.key_version = backup.latest_version;
  Reply reply;
  reply.holds_secret = true;
  reply.data.reserve(backup.blob.size() + 32);
  JsonObject object(reply.data);
  object.String("backup", backup.blob);
  object.Close();
  OPENSSL_cleanse(backup.blob.data(), backup.blob.size());
  return reply;
}

Result<Reply> HandleRestore(Call& call) {
  RestoreKeyRequest request{.blob = call.fields.Text("backup"),
                            .name = std::nullopt,
                            .force = call.fields.Boolean("force")};
  if (const std::string_view name = call.fields.Text("name"); !name.empty()) {
    request.name = name;
  }
  const Result<KeyHandle> restored = RestoreKey(*call.environment, request);
  if (!restored.has_value() && restored.error().code == ErrorCode::kAlreadyExists) {
    return Reply::Refused(restored.error().public_message);
  }
  const KeyHandle key = KMS_TRY(restored);
  call.key_version = key->policy().latest_version;
  return Reply::NoContent();
}

}  // namespace kms::api
