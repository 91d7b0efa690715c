// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/task_work.h"

namespace kms {

namespace {

Result<TaskPlan> PlanNothing(const PlanContext& /*context*/, const TaskRequest& /*request*/) {
  return Unavailable("not here yet");
}
Status DoNothing(TaskRun& /*run*/) { return Unavailable("not here yet"); }

constexpr TaskWork kNothing{TaskKind::kRotateMasterKey, PlanNothing, DoNothing};

}  // namespace

const TaskWork& WorkOf(TaskKind /*kind*/) { return kNothing; }

}  // namespace kms
