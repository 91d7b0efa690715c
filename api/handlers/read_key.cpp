// SPDX-License-Identifier: Apache-2.0
// GET keys/:name (transit-api 6.2).
#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/pipeline/call.h"
#include "kms/base/base64.h"

namespace kms::api {

Result<Reply> HandleReadKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const Result<Bytes> context = Base64Decode(call.fields.Text("context"));
  if (!context) {
    return InvalidArgument("failed to base64-decode context");
  }
  const KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    return Reply::Absent();
  }
  return Reply::Data(KMS_TRY(DescribeKey(*call.environment, *key, *context)));
}

}  // namespace kms::api
