// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/rotate-everything: every key, the environment key and the master key.
#include "api/handlers/handlers.h"
#include "api/handlers/task_reply.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleRotateEverything(Call& call) {
  return StartTask(call, TaskKind::kRotateEverything, {});
}

}  // namespace kms::api
