// SPDX-License-Identifier: Apache-2.0
// Rotating a master key. Its id follows from environment, token and version, so
// that a key made just before a crash is found again and no second one is made
// (H25).
#include <algorithm>
#include <string>

#include "kms/master/guarded_device.h"
#include "kms/tasks/task_work.h"

namespace kms {

namespace {

// A token's name, or the name of the one token with that label.
Result<std::string> FindHsm(const PlanContext& context, const std::string& text) {
  HsmRegistry& hsms = context.environments.hsms();
  if (hsms.Find(text) != nullptr) {
    return text;
  }
  std::vector<std::string> matches;
  for (const std::string& name : hsms.Names()) {
    const std::shared_ptr<GuardedDevice> device = hsms.Find(name);
    if (device == nullptr) {
      continue;
    }
    const auto description =
        device->Describe(device->DeadlineFrom(context.clock.SteadyNow(), context.hsm_timeout));
    if (description.has_value() && description->token_label == text) {
      matches.push_back(name);
    }
  }
  if (matches.size() > 1) {
    return InvalidArgument("several HSM tokens have the label " + text +
                           ": name one as the configuration does");
  }
  if (matches.empty()) {
    return InvalidArgument("no HSM token of the configuration that answers is called " + text +
                           " or has that label; see kmsctl hsm list");
  }
  return matches.front();
}

std::uint32_t NextOrder(const GroupMaterial& keys) {
  std::uint32_t order = 0;
  for (const GroupMember& member : keys.group.members) {
    order = std::max(order, member.order);
  }
  return order + 1;
}

Status Join(TaskRun& run, const std::string& name, const std::string& hsm) {
  const GroupMaterial keys = KMS_TRY(run.environments().ReadKeys(name));
  if (keys.group.Find(hsm) != nullptr) {
    return Ok();
  }
  KMS_TRY(run.Begin("joining HSM " + hsm, 0));
  return run.environments().JoinHsm(name, {.hsm = hsm, .order = NextOrder(keys), .weight = 1});
}

// Makes the key in each member. One that is away gets it when it returns; at
// least one must have it.
Status MakeEverywhere(TaskRun& run, const std::string& name, MasterKeyVersion version) {
  const std::vector<std::string> members = run.environments().MembersOf(name);
  KMS_TRY(run.Begin("making master key version " + std::to_string(version), members.size()));
  std::size_t made = 0;
  Status away = NotFound("no such environment");
  for (const std::string& hsm : members) {
    KMS_TRY(run.CheckInterrupted());
    const auto started = std::chrono::steady_clock::now();
    Status status = run.environments().MakeMasterKey(name, hsm, version);
    if (!status.has_value() && !MayPass(status.error().code)) {
      Error refused = status.error();
      refused.public_message = "HSM " + hsm + ": " + refused.public_message +
                               "; put it right or take it out of the environment, then resume";
      return refused;
    }
    if (!status.has_value() && status.error().code != ErrorCode::kUnavailable) {
      return status;
    }
    made += status.has_value() ? 1U : 0U;
    if (!status.has_value()) {
      run.Note("HSM " + hsm + " is away: it gets master key version " + std::to_string(version) +
               " when it returns");
      away = std::move(status);
    }
    KMS_TRY(run.Advance(1, 0, {}, std::chrono::steady_clock::now() - started));
  }
  return made != 0 ? Ok() : away;
}

// Opens every wrap under the new version once more, by the token that made it,
// and compares it with the key in use.
Status VerifyOne(TaskRun& run, const Environment& environment, const std::string& hsm,
                 const MemberMaterial& member, MasterKeyVersion version) {
  const auto master = member.masters.find(version);
  const std::shared_ptr<GuardedDevice> device = run.environments().hsms().Find(hsm);
  if (master == member.masters.end() || device == nullptr) {
    return Ok();
  }
  for (const auto& [key_version, wraps] : member.wraps) {
    const auto wrap = wraps.find(version);
    if (wrap == wraps.end()) {
      continue;
    }
    const Result<SecretBytes> key = device->Unwrap(
        master->second, wrap->second, EnvironmentKeyContext(environment.identity().id, key_version),
        run.HsmDeadline(*device));
    if (!key.has_value()) {
      return key.error();
    }
    if (!environment.keyring().Holds(key_version, *key)) {
      if (environment.sealed()) {
        return Unavailable("environment is sealed");
      }
      return Corrupted("HSM " + hsm + " opens environment key version " +
                       std::to_string(key_version) + " to another value; the old version stays");
    }
  }
  return Ok();
}

Status VerifyEverywhere(TaskRun& run, const std::string& name, MasterKeyVersion version) {
  const std::shared_ptr<Environment> environment = FindEnvironment(run.environments(), name);
  if (environment == nullptr) {
    return NotFound("no such environment");
  }
  const GroupMaterial keys = KMS_TRY(run.environments().ReadKeys(name));
  KMS_TRY(run.Begin("opening every wrap under version " + std::to_string(version),
                    keys.group.members.size()));
  for (const GroupMember& member : keys.group.members) {
    const auto found = keys.members.find(member.hsm);
    if (found == keys.members.end()) {
      continue;
    }
    const auto started = std::chrono::steady_clock::now();
    KMS_TRY(VerifyOne(run, *environment, member.hsm, found->second, version));
    KMS_TRY(run.Advance(1, 0, {}, std::chrono::steady_clock::now() - started));
  }
  return Ok();
}

}  // namespace

Result<TaskPlan> PlanMasterKeyRotation(const PlanContext& context, const TaskRequest& request) {
  const std::string& name = request.environment;
  const GroupMaterial keys = KMS_TRY(context.environments.ReadKeys(name));
  const std::string version = std::to_string(keys.group.current_master + 1);
  TaskPlan plan;
  plan.parameters = {{"version", version}};
  std::size_t members = keys.group.members.size();
  if (const auto to_hsm = request.parameters.find("to_hsm"); to_hsm != request.parameters.end()) {
    const std::string hsm = KMS_TRY(FindHsm(context, to_hsm->second));
    plan.parameters["to_hsm"] = hsm;
    if (keys.group.Find(hsm) == nullptr) {
      plan.steps.push_back("join HSM " + hsm + " to the environment");
      ++members;
    }
  }
  plan.steps.push_back("make master key version " + version + " in " + std::to_string(members) +
                       (members == 1 ? " HSM" : " HSMs"));
  plan.steps.push_back("wrap " + std::to_string(keys.Versions().size()) +
                       " environment key versions under it and open each wrap again");
  plan.steps.push_back("make version " + version + " the current one; version " +
                       std::to_string(keys.group.current_master) + " stays until it is retired");
  plan.entries = keys.Versions().size() * members;
  plan.warnings = PendingMembers(context.environments, name);
  return plan;
}

Status RotateMasterKey(TaskRun& run) {
  const TaskRecord record = run.record();
  run.ClearNotes();
  return MoveToMasterKey(run, record.environment, record.VersionParameter("version"),
                         record.Parameter("to_hsm"));
}

Status MoveToMasterKey(TaskRun& run, const std::string& name, MasterKeyVersion version,
                       const std::string* hsm) {
  const GroupMaterial keys = KMS_TRY(run.environments().ReadKeys(name));
  if (keys.group.current_master < version) {
    if (hsm != nullptr) {
      KMS_TRY(Join(run, name, *hsm));
    }
    KMS_TRY(MakeEverywhere(run, name, version));
    KMS_TRY(VerifyEverywhere(run, name, version));
    KMS_TRY(run.Begin("switching to version " + std::to_string(version), 0));
    KMS_TRY(run.environments().SwitchMasterKey(name, version));
  }
  for (const std::string& pending : PendingMembers(run.environments(), name)) {
    run.Note(pending);
  }
  return Ok();
}

}  // namespace kms
