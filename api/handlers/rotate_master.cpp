// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/rotate-master: the next master key in every HSM of the environment.
#include "api/handlers/handlers.h"
#include "api/handlers/task_reply.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleRotateMaster(Call& call) {
  std::map<std::string, std::string> parameters;
  if (const std::string_view hsm = call.fields.Text("to_hsm"); !hsm.empty()) {
    parameters.emplace("to_hsm", hsm);
  }
  return StartTask(call, TaskKind::kRotateMasterKey, std::move(parameters));
}

}  // namespace kms::api
