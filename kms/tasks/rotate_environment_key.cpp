// SPDX-License-Identifier: Apache-2.0
// Rotating an environment key: a new version, every entry sealed again under
// it, the old ones forgotten. Nothing is undone when it is cut short: entries
// under either version open.
#include <string>

#include "kms/tasks/task_work.h"

namespace kms {

namespace {

// A pass leaves behind only what was written under the old key while it ran.
constexpr int kMostPasses = 10;

std::uint64_t Sum(const std::map<EnvironmentKeyVersion, std::uint64_t>& counts) {
  std::uint64_t sum = 0;
  for (const auto& [version, count] : counts) {
    sum += count;
  }
  return sum;
}

Result<EnvironmentKeyVersion> LatestOf(Environments& environments, const std::string& name) {
  const GroupMaterial keys = KMS_TRY(environments.ReadKeys(name));
  return keys.Versions().back();
}

Status AddKey(TaskRun& run, const std::string& name, EnvironmentKeyVersion target) {
  const std::shared_ptr<Environment> environment = FindEnvironment(run.environments(), name);
  if (environment == nullptr) {
    return NotFound("no such environment");
  }
  // What counts is the key in use: one whose storing had an unknown outcome is not in use yet.
  const EnvironmentKeyVersion latest = KMS_TRY(environment->keyring().Latest());
  if (latest >= target) {
    return Ok();
  }
  KMS_TRY(run.Begin("making environment key version " + std::to_string(target), 0));
  return run.environments().AddEnvironmentKey(name, target);
}

Status SealAgain(TaskRun& run, const std::string& name, EnvironmentKeyVersion target) {
  Environments& environments = run.environments();
  const std::string step = "sealing entries under version " + std::to_string(target);
  const auto counts = KMS_TRY(environments.CountEntries(name));
  KMS_TRY(run.Begin(step, Sum(counts)));
  std::string cursor = run.record().cursor;
  do {
    const auto started = std::chrono::steady_clock::now();
    const ResealedPage page = KMS_TRY(environments.ResealEntries(name, cursor, run.StepSize()));
    cursor = page.next;
    KMS_TRY(
        run.Advance(page.seen, page.resealed, cursor, std::chrono::steady_clock::now() - started));
  } while (!cursor.empty());
  return Ok();
}

}  // namespace

Result<TaskPlan> PlanEnvironmentKeyRotation(const PlanContext& context,
                                            const TaskRequest& request) {
  const std::string& name = request.environment;
  const EnvironmentKeyVersion latest = KMS_TRY(LatestOf(context.environments, name));
  const auto counts = KMS_TRY(context.environments.CountEntries(name));
  const std::string target = std::to_string(latest + 1);
  TaskPlan plan;
  plan.parameters = {{"version", target}};
  plan.entries = Sum(counts);
  plan.steps = {
      "make environment key version " + target + " and wrap it by every HSM of the environment",
      "seal " + std::to_string(plan.entries) + " entries under version " + target,
      "forget the environment keys below version " + target};
  plan.warnings = PendingMembers(context.environments, name);
  return plan;
}

Status RotateEnvironmentKey(TaskRun& run) {
  const TaskRecord record = run.record();
  run.ClearNotes();
  return MoveToEnvironmentKey(run, record.environment, record.VersionParameter("version"));
}

Status MoveToEnvironmentKey(TaskRun& run, const std::string& name, EnvironmentKeyVersion target) {
  KMS_TRY(AddKey(run, name, target));
  Status forgotten = Ok();
  for (int pass = 1; pass <= kMostPasses; ++pass) {
    KMS_TRY(SealAgain(run, name, target));
    KMS_TRY(run.CheckInterrupted());
    forgotten = run.environments().ForgetEnvironmentKeys(name, target);
    if (forgotten.has_value() || forgotten.error().code != ErrorCode::kFailedPrecondition) {
      break;
    }
    run.Restart();
  }
  KMS_TRY(std::move(forgotten));
  for (const std::string& pending : PendingMembers(run.environments(), name)) {
    run.Note(pending);
  }
  return Ok();
}

}  // namespace kms
