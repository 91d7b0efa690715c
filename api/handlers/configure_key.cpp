// SPDX-License-Identifier: Apache-2.0
// POST keys/:name/config (transit-api 6.5).
#include "kms/operations/configure_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleConfigureKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const Fields& fields = call.fields;
  const KeyConfigChange change{
      .min_decryption_version = fields.OptionalInteger("min_decryption_version"),
      .min_encryption_version = fields.OptionalInteger("min_encryption_version"),
      .deletion_allowed = fields.OptionalBoolean("deletion_allowed"),
      .exportable = fields.OptionalBoolean("exportable"),
      .allow_plaintext_backup = fields.OptionalBoolean("allow_plaintext_backup"),
      .auto_rotate_period_seconds = fields.OptionalInteger("auto_rotate_period"),
  };
  ConfigureKeyOutcome outcome = KMS_TRY(ConfigureKey(*call.environment, name, change));
  Reply reply = Reply::Data(KMS_TRY(DescribeKey(*call.environment, *outcome.key)));
  reply.warnings = std::move(outcome.warnings);
  return reply;
}

}  // namespace kms::api
