// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/rotate-key: a new environment key, and every entry sealed again under it.
#include "api/handlers/handlers.h"
#include "api/handlers/task_reply.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleRotateEnvironmentKey(Call& call) {
  return StartTask(call, TaskKind::kRotateEnvironmentKey, {});
}

}  // namespace kms::api
