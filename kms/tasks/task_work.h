// SPDX-License-Identifier: Apache-2.0
// TaskWork: what each kind of task does, and how it is planned before it does anything. One row per
// kind.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/operations/environments.h"
#include "kms/tasks/task_record.h"
#include "kms/tasks/task_run.h"

namespace kms {

struct TaskRequest {
  TaskKind kind = TaskKind::kRotateEnvironmentKey;
  std::string environment;
  std::map<std::string, std::string> parameters;  // "version", "to_hsm": see each kind
  std::uint32_t rate_limit = 0;                   // entries per second; 0: none
  std::string asked_by;
  std::string accessor;
};

// What would be done; making it changes nothing.
struct TaskPlan {
  std::map<std::string, std::string> parameters;  // complete: what the task will be bound to
  std::vector<std::string> steps;                 // in plain words
  std::uint64_t entries = 0;                      // to be changed, as of now
  std::vector<std::string> warnings;              // what will be left for later
  std::vector<std::string> refusals;              // why it cannot be done now; then it is not begun
};

struct PlanContext {
  Environments& environments;
  const Clock& clock;
  std::chrono::milliseconds hsm_timeout;
};

struct TaskWork {
  TaskKind kind;
  // Errors: kNotFound, kInvalidArgument, kUnavailable, store errors.
  Result<TaskPlan> (*plan)(const PlanContext& context, const TaskRequest& request);
  // Every step may have been done before, in part or as a whole: it is done again without harm.
  // kUnavailable, kConflict and kOutcomeUnknown are tried again, other errors end the run.
  Status (*run)(TaskRun& run);
};

const TaskWork& WorkOf(TaskKind kind);

// --- each kind in its own file ---

// Makes a new environment key, seals every entry again under it, forgets the older ones.
Result<TaskPlan> PlanEnvironmentKeyRotation(const PlanContext& context, const TaskRequest& request);
Status RotateEnvironmentKey(TaskRun& run);
// The same as part of other work.
Status MoveToEnvironmentKey(TaskRun& run, const std::string& name, EnvironmentKeyVersion target);

// Makes the next master key in every token of the group, wraps every environment key under it,
// opens each wrap again, and makes it the current one. "to_hsm" (a token's name or label) joins the
// group first. The old version stays.
Result<TaskPlan> PlanMasterKeyRotation(const PlanContext& context, const TaskRequest& request);
Status RotateMasterKey(TaskRun& run);
// The same as part of other work; `hsm`, a token's name, joins the group first; may be nullptr.
Status MoveToMasterKey(TaskRun& run, const std::string& name, MasterKeyVersion version,
                       const std::string* hsm);

// Destroys master key "version" in every token that has it, unless something needs it, and signs a
// statement of that.
Result<TaskPlan> PlanMasterKeyRetirement(const PlanContext& context, const TaskRequest& request);
Status RetireMasterKey(TaskRun& run);

// After a leak: gives every key a new version unless it got one since the task was asked for, then
// rotates environment key and master key. Its notes are the census of what is still old.
Result<TaskPlan> PlanRotationOfEverything(const PlanContext& context, const TaskRequest& request);
Status RotateEverything(TaskRun& run);

// --- what they share ---

// What may pass by itself: kUnavailable, kConflict, kOutcomeUnknown.
bool MayPass(ErrorCode code);
// `name` may be "sys"; nullptr when there is none.
std::shared_ptr<Environment> FindEnvironment(const Environments& environments,
                                             std::string_view name);
// One line for each member of the group that is away or lacks something.
std::vector<std::string> PendingMembers(const Environments& environments, std::string_view name);

}  // namespace kms
