// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/retire-master: destroys an old master key in the HSMs, for good.
#include <limits>

#include "api/handlers/handlers.h"
#include "api/handlers/task_reply.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleRetireMaster(Call& call) {
  const std::int64_t version = call.fields.Integer("version");
  if (version < 1 || version > std::numeric_limits<std::uint32_t>::max()) {
    return InvalidArgument("version must be the number of a master key version");
  }
  return StartTask(call, TaskKind::kRetireMasterKey, {{"version", std::to_string(version)}});
}

}  // namespace kms::api
