// SPDX-License-Identifier: Apache-2.0
// DELETE keys/:name/soft-delete and POST keys/:name/soft-delete-restore (transit-api 6.8).
#include "kms/operations/soft_delete_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_info.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

using Verb = Result<SoftDeleteOutcome> (*)(Environment& environment, const KeyName& name);

Result<Reply> Answer(Call& call, Verb verb, std::string_view nothing_to_do) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const SoftDeleteOutcome outcome = KMS_TRY(verb(*call.environment, name));
  if (outcome.key == nullptr) {
    return Reply::NoContent();
  }
  Reply reply = Reply::Data(KMS_TRY(DescribeKey(*call.environment, *outcome.key)));
  if (outcome.was_already) {
    reply.warnings.emplace_back(nothing_to_do);
  }
  return reply;
}

}  // namespace

Result<Reply> HandleSoftDeleteKey(Call& call) {
  return Answer(call, SoftDeleteKey, "key was already marked as soft deleted");
}

Result<Reply> HandleRestoreSoftDeletedKey(Call& call) {
  return Answer(call, RestoreSoftDeletedKey, "key was already restored");
}

}  // namespace kms::api
