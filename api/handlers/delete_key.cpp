// SPDX-License-Identifier: Apache-2.0
// DELETE keys/:name (transit-api 6.4).
#include "kms/operations/delete_key.h"

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleDeleteKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  KMS_TRY(DeleteKey(*call.environment, name));
  return Reply::NoContent();
}

}  // namespace kms::api
