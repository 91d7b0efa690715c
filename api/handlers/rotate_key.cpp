// SPDX-License-Identifier: Apache-2.0
// POST keys/:name/rotate (transit-api 6.6).
#include "kms/operations/rotate_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleRotateKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const std::string_view reference = call.fields.Text("external_key_ref");
  const Result<KeyHandle> key = reference.empty()
                                    ? RotateKey(*call.environment, name)
                                    : RotateExternalKey(*call.environment, name, reference);
  if (!key && key.error().code == ErrorCode::kNotFound) {
    return InvalidArgument(key.error().public_message);  // 400 on the wire
  }
  if (!key) {
    return key.error();
  }
  call.key_version = (*key)->policy().latest_version;
  return Reply::Data(KMS_TRY(DescribeKey(*call.environment, **key)));
}

}  // namespace kms::api
