// SPDX-License-Identifier: Apache-2.0
// POST keys/:name/trim (transit-api 6.7).
#include "kms/operations/trim_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleTrimKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const KeyHandle key = KMS_TRY(
      TrimKey(*call.environment, name, call.fields.OptionalInteger("min_available_version")));
  return Reply::Data(KMS_TRY(DescribeKey(*call.environment, *key)));
}

}  // namespace kms::api
