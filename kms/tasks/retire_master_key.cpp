// SPDX-License-Identifier: Apache-2.0
// Retiring a master key: what needs it is named and nothing is done; otherwise
// the key objects are destroyed, one token after the other, and a signed
// statement says so. What is to be destroyed is written down first, so that a
// run cut short still says everything.
#include <algorithm>
#include <string>

#include "kms/backup/backup_list.h"
#include "kms/master/guarded_device.h"
#include "kms/operations/group_keys.h"
#include "kms/tasks/destruction_statement.h"
#include "kms/tasks/task_work.h"

namespace kms {

namespace {

constexpr std::size_t kMostNamed = 5;
constexpr const char* kWhenLost =
    " (if it will never come back: kmsctl hsm remove NAME --lost says so)";

Result<Uuid> IdOf(const Environments& environments, const std::string& name) {
  const std::shared_ptr<Environment> found = FindEnvironment(environments, name);
  if (found == nullptr) {
    return NotFound("no such environment");
  }
  return found->identity().id;
}

std::string VersionText(MasterKeyVersion version) { return "version " + std::to_string(version); }

// The tokens that have the version recorded, also those that left the group.
std::vector<std::string> HoldersOf(const GroupMaterial& keys, MasterKeyVersion version) {
  std::vector<std::string> holders;
  for (const auto& [hsm, member] : keys.members) {
    if (member.masters.contains(version)) {
      holders.push_back(hsm);
    }
  }
  return holders;
}

// Environment keys that a member opens by this version alone, or not at all.
void FindLoneWraps(const GroupMaterial& keys, MasterKeyVersion version,
                   std::vector<std::string>& needs) {
  for (const GroupMember& member : keys.group.members) {
    const auto found = keys.members.find(member.hsm);
    for (const EnvironmentKeyVersion key_version : keys.Versions()) {
      bool other = false;
      if (found != keys.members.end()) {
        const auto wraps = found->second.wraps.find(key_version);
        if (wraps != found->second.wraps.end()) {
          for (const auto& [master, wrap] : wraps->second) {
            other = other || master != version;
          }
        }
      }
      if (!other) {
        needs.push_back("HSM " + member.hsm + " has environment key " + VersionText(key_version) +
                        " under no other version");
      }
    }
  }
}

void FindAbsent(const PlanContext& context, const std::vector<std::string>& hsms,
                std::vector<std::string>& needs) {
  for (const std::string& hsm : hsms) {
    const std::shared_ptr<GuardedDevice> device = context.environments.hsms().Find(hsm);
    if (device == nullptr) {
      needs.push_back("HSM " + hsm + " has it and is not configured" + kWhenLost);
      continue;
    }
    const auto there =
        device->Describe(device->DeadlineFrom(context.clock.SteadyNow(), context.hsm_timeout));
    if (!there.has_value()) {
      needs.push_back("HSM " + hsm + " has it and is away: " + there.error().public_message +
                      kWhenLost);
    }
  }
}

Status FindBackups(const PlanContext& context, const Uuid& environment_id, MasterKeyVersion version,
                   std::vector<std::string>& needs) {
  BackupList backups(context.environments.sys()->store(), context.clock);
  const std::vector<BackupRecord> needing = KMS_TRY(backups.Needing(environment_id, version));
  for (std::size_t index = 0; index < needing.size() && index < kMostNamed; ++index) {
    const WallTime expires(std::chrono::seconds(needing[index].expires_unix_seconds));
    needs.push_back("backup " + needing[index].id.ToString() + " needs it until " +
                    ToRfc3339(expires) + "; forget the backup to do without it");
  }
  if (needing.size() > kMostNamed) {
    needs.push_back("and " + std::to_string(needing.size() - kMostNamed) + " more backups");
  }
  return Ok();
}

// What lost tokens have of the version and no statement tells of yet.
Result<std::vector<LostObject>> FindLost(const Environments& environments, const std::string& name,
                                         MasterKeyVersion version) {
  std::vector<LostObject> objects;
  const std::vector<LostHsm> records = KMS_TRY(environments.LostHsms(name));
  for (const LostHsm& lost : records) {
    for (const LostMasterKey& key : lost.master_keys) {
      if (key.version == version) {
        objects.push_back({.object = {.hsm = lost.hsm,
                                      .token_label = key.token_label,
                                      .token_serial = key.token_serial,
                                      .id = key.id,
                                      .label = key.label,
                                      .made_unix_seconds = key.made_unix_seconds},
                           .declared_unix_seconds = lost.declared_unix_seconds,
                           .declared_by = lost.declaration.declared_by,
                           .reason = lost.declaration.reason});
      }
    }
  }
  return objects;
}

// A statement tells of the environment's own keys, and a record of another's is not one.
Status CheckRecords(const GroupMaterial& keys, const std::string& name, const Uuid& id,
                    MasterKeyVersion version) {
  for (const std::string& hsm : HoldersOf(keys, version)) {
    KMS_TRY(internal::RecordToDestroy({.environment = name,
                                       .environment_id = id,
                                       .hsm = hsm,
                                       .version = version,
                                       .losses = keys.group.LossesOf(hsm)},
                                      keys.members.at(hsm).masters.at(version)));
  }
  return Ok();
}

// Everything that needs the version. Errors: kNotFound when nobody has it; kFailedPrecondition when
// a record of it names another key.
Result<std::vector<std::string>> FindNeeds(const PlanContext& context, const std::string& name,
                                           MasterKeyVersion version) {
  const Uuid id = KMS_TRY(IdOf(context.environments, name));
  const GroupMaterial keys = KMS_TRY(context.environments.ReadKeys(name));
  const std::vector<std::string> holders = HoldersOf(keys, version);
  const std::vector<LostObject> lost = KMS_TRY(FindLost(context.environments, name, version));
  if (holders.empty() && lost.empty()) {
    return NotFound("environment " + name + " has no master key " + VersionText(version));
  }
  std::vector<std::string> needs;
  if (version == keys.group.current_master) {
    needs.push_back("it is the current version: rotate the master key first");
  } else if (version > keys.group.current_master) {
    needs.push_back("it is being made: finish the rotation of the master key first");
  } else {
    FindLoneWraps(keys, version, needs);
  }
  KMS_TRY(CheckRecords(keys, name, id, version));
  FindAbsent(context, holders, needs);
  KMS_TRY(FindBackups(context, id, version, needs));
  return needs;
}

DestructionStatement Draft(const TaskRecord& record, const GroupMaterial& keys,
                           MasterKeyVersion version) {
  DestructionStatement statement;
  statement.id = record.id;
  statement.environment = record.environment;
  statement.environment_id = record.environment_id;
  statement.version = version;
  statement.asked_by = record.asked_by;
  for (const auto& [hsm, member] : keys.members) {
    if (const auto master = member.masters.find(version); master != member.masters.end()) {
      statement.objects.push_back({.hsm = hsm,
                                   .token_label = master->second.token_label,
                                   .token_serial = master->second.token_serial,
                                   .id = master->second.id,
                                   .label = master->second.label,
                                   .made_unix_seconds = master->second.created_unix_seconds});
    }
  }
  return statement;
}

// A token that was declared lost since the draft was made keeps its object. What is named by a lost
// token's record was not destroyed: whoever destroys an object deletes its record, and so does a
// loss, one after the other.
Status AddLost(TaskRun& run, DestructionStatement& statement) {
  const std::vector<LostObject> lost =
      KMS_TRY(FindLost(run.environments(), statement.environment, statement.version));
  bool changed = false;
  for (const LostObject& object : lost) {
    const auto known = std::ranges::find(statement.not_destroyed, object);
    if (known == statement.not_destroyed.end()) {
      std::erase(statement.objects, object.object);
      statement.not_destroyed.push_back(object);
      changed = true;
    }
  }
  return changed ? StoreStatement(run.sys(), statement) : Ok();
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) {
    joined += (joined.empty() ? "" : "; ") + text;
  }
  return joined;
}

// What this task set out to destroy; on the first run it is checked that
// nothing needs it.
Result<DestructionStatement> ReadOrDraft(TaskRun& run, MasterKeyVersion version) {
  const TaskRecord record = run.record();
  std::optional<DestructionStatement> begun = KMS_TRY(ReadStatement(run.sys(), record.id));
  const PlanContext context{run.environments(), run.clock(), run.options().hsm_timeout};
  const GroupMaterial keys = KMS_TRY(run.environments().ReadKeys(record.environment));
  if (!begun || !HoldersOf(keys, version).empty()) {
    const std::vector<std::string> needs = KMS_TRY(FindNeeds(context, record.environment, version));
    if (!needs.empty()) {
      return FailedPrecondition("master key " + VersionText(version) + " of " + record.environment +
                                " is needed: " + Joined(needs));
    }
  }
  const bool is_new = !begun.has_value();
  DestructionStatement draft = is_new ? Draft(record, keys, version) : *std::move(begun);
  if (draft.complete()) {
    return draft;
  }
  if (is_new) {
    KMS_TRY(StoreStatement(run.sys(), draft));
  }
  KMS_TRY(AddLost(run, draft));
  return draft;
}

// By the audit key of the first token of `sys` that signs.
Status Sign(TaskRun& run, DestructionStatement& statement) {
  const Environments& environments = run.environments();
  const std::string head = run.options().audit_head ? run.options().audit_head() : std::string();
  statement.text = statement.Render(run.clock().Now(), head);
  Error error = Unavailable("no HSM signs the statement");
  for (const std::string& hsm : environments.MembersOf(environments.sys()->identity().name)) {
    const std::shared_ptr<GuardedDevice> device = environments.hsms().Find(hsm);
    if (device == nullptr) {
      continue;
    }
    Result<Bytes> public_key = device->SigningPublicKey(run.HsmDeadline(*device));
    Result<Bytes> signature = public_key.has_value()
                                  ? device->Sign(AsBytes(statement.text), run.HsmDeadline(*device))
                                  : Result<Bytes>(public_key.error());
    if (signature.has_value()) {
      statement.public_key = *std::move(public_key);
      statement.signature = *std::move(signature);
      return Ok();
    }
    error = signature.error();
  }
  return error;
}

}  // namespace

Result<TaskPlan> PlanMasterKeyRetirement(const PlanContext& context, const TaskRequest& request) {
  const std::string& name = request.environment;
  TaskRecord asked;
  asked.parameters = request.parameters;
  const MasterKeyVersion version = asked.VersionParameter("version");
  if (version == 0) {
    return InvalidArgument("version must be the number of a master key version");
  }
  TaskPlan plan;
  plan.parameters = {{"version", std::to_string(version)}};
  plan.refusals = KMS_TRY(FindNeeds(context, name, version));
  const GroupMaterial keys = KMS_TRY(context.environments.ReadKeys(name));
  for (const std::string& hsm : HoldersOf(keys, version)) {
    plan.steps.push_back("destroy master key " + VersionText(version) + " in HSM " + hsm);
    ++plan.entries;
  }
  const std::vector<LostObject> lost = KMS_TRY(FindLost(context.environments, name, version));
  for (const LostObject& object : lost) {
    plan.warnings.push_back(
        "master key " + VersionText(version) + " stays in HSM " + object.object.hsm +
        " (token serial " + object.object.token_serial + "), which was declared lost by " +
        object.declared_by + " at " +
        ToRfc3339(WallTime(std::chrono::seconds(object.declared_unix_seconds))) +
        ": the statement says so");
  }
  plan.steps.emplace_back("sign a statement of it");
  return plan;
}

Status RetireMasterKey(TaskRun& run) {
  const TaskRecord record = run.record();
  const MasterKeyVersion version = record.VersionParameter("version");
  DestructionStatement statement = KMS_TRY(ReadOrDraft(run, version));
  if (statement.complete()) {
    return Ok();
  }
  KMS_TRY(run.Begin("destroying master key " + VersionText(version), statement.objects.size()));
  for (const DestroyedObject& object : statement.objects) {
    KMS_TRY(run.CheckInterrupted());
    KMS_TRY(run.environments().RetireMasterKey(record.environment, object.hsm, version));
    KMS_TRY(run.Advance(1, 0, {}, {}));
  }
  KMS_TRY(run.Begin("signing the statement", 0));
  KMS_TRY(AddLost(run, statement));
  KMS_TRY(run.environments().SettleLostKeys(record.environment, version));
  for (const LostObject& lost : statement.not_destroyed) {
    run.Note("HSM " + lost.object.hsm + " was declared lost by " + lost.declared_by +
             ": the master key in it could not be destroyed");
  }
  KMS_TRY(Sign(run, statement));
  KMS_TRY(StoreStatement(run.sys(), statement));
  run.Note("the signed statement is " + record.id.ToString());
  return Ok();
}

}  // namespace kms
