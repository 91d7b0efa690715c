// SPDX-License-Identifier: Apache-2.0
// Rotating everything in an environment, after a leak: its keys, its environment key, its master
// key. What applications stored stays readable, so the notes say what is still old: old key
// versions that decrypt, keys that could not be rotated, the old master key.
#include <charconv>
#include <string>

#include "kms/operations/list_keys.h"
#include "kms/operations/rotate_key.h"
#include "kms/operations/self_rotation.h"
#include "kms/tasks/task_work.h"

namespace kms {

namespace {

constexpr std::size_t kPage = 200;
// How many keys that do not rotate are named; the rest is counted.
constexpr std::size_t kMostNamed = 20;
constexpr std::string_view kStep = "rotating keys";
constexpr std::string_view kSince = "since_ns";  // Unix time

// What is old in the keys of an environment.
struct Census {
  std::uint64_t keys = 0;
  std::uint64_t fresh = 0;         // got a version since
  std::uint64_t old_versions = 0;  // that still decrypt, of all keys
  std::uint64_t old_keys = 0;      // that have one
  std::uint64_t stuck = 0;         // do not rotate
  std::vector<std::string> named;  // the first of them, with the reason
};

// When the task was asked for, to the nanosecond: a key that was made in the same second, but
// before, is old.
WallTime BeginOf(const TaskRecord& record) {
  const std::string* const text = record.Parameter(kSince);
  std::int64_t nanoseconds = 0;
  if (text != nullptr) {
    std::from_chars(text->data(), text->data() + text->size(), nanoseconds);
  }
  return text != nullptr ? WallTime(std::chrono::nanoseconds(nanoseconds))
                         : WallTime(std::chrono::seconds(record.created_unix_seconds));
}

bool IsFresh(const Key& key, WallTime since) {
  return !key.versions().empty() && key.versions().back().created >= since;
}

// Calls `see` with each key after `cursor`, until it fails.
template <typename See>
Status ForEachKey(Environment& environment, std::string cursor, const See& see) {
  while (true) {
    const std::vector<std::string> page = KMS_TRY(ListKeys(environment, cursor, kPage));
    for (const std::string& text : page) {
      const KeyName name = KMS_TRY(KeyName::Parse(text));
      const KeyHandle key = KMS_TRY(environment.FindKey(name));
      if (key != nullptr) {  // deleted since it was listed
        KMS_TRY(see(name, key));
      }
    }
    if (page.size() < kPage) {
      return Ok();
    }
    cursor = page.back();
  }
}

void Count(const Key& key, WallTime since, Census& census) {
  const KeyPolicy& policy = key.policy();
  const std::uint64_t old = policy.latest_version - policy.min_decryption_version;
  ++census.keys;
  census.fresh += IsFresh(key, since) ? 1U : 0U;
  census.old_versions += old;
  census.old_keys += old != 0 ? 1U : 0U;
  const Status may = CheckMayRotate(policy);
  if (!may.has_value()) {
    ++census.stuck;
    if (census.named.size() < kMostNamed) {
      census.named.push_back("key " + policy.name +
                             " is not rotated: " + may.error().public_message);
    }
  }
}

Result<Census> TakeCensus(Environment& environment, WallTime since) {
  Census census;
  KMS_TRY(ForEachKey(environment, {}, [&](const KeyName& /*name*/, const KeyHandle& key) -> Status {
    Count(*key, since, census);
    return Ok();
  }));
  return census;
}

std::vector<std::string> Describe(const Census& census) {
  std::vector<std::string> lines = census.named;
  if (census.stuck > census.named.size()) {
    lines.push_back(std::to_string(census.stuck - census.named.size()) +
                    " further keys are not rotated");
  }
  if (census.old_versions != 0) {
    lines.push_back(std::to_string(census.old_versions) + " older versions of " +
                    std::to_string(census.old_keys) +
                    " keys still decrypt: rewrap what was encrypted under them, then raise "
                    "min_decryption_version and trim");
  }
  return lines;
}

Result<std::shared_ptr<Environment>> Find(const Environments& environments,
                                          const std::string& name) {
  std::shared_ptr<Environment> environment = FindEnvironment(environments, name);
  if (environment == nullptr) {
    return NotFound("no such environment");
  }
  return environment;
}

Status RotateKeys(TaskRun& run, Environment& environment, std::uint64_t total) {
  const TaskRecord record = run.record();
  KMS_TRY(run.Begin(std::string(kStep), total));
  const WallTime since = BeginOf(record);
  const std::string who = "rotation of everything, asked by " + record.asked_by;
  const auto rotate = [&](const KeyName& name, const KeyHandle& key) -> Status {
    KMS_TRY(run.CheckInterrupted());
    const auto started = std::chrono::steady_clock::now();
    const bool rotates = !IsFresh(*key, since) && CheckMayRotate(key->policy()).has_value();
    if (rotates) {
      Result<KeyHandle> rotated =
          RotateBySelf(environment, name, key->policy().latest_version, who);
      if (!rotated.has_value() && rotated.error().code != ErrorCode::kNotFound) {
        Error error = std::move(rotated).error();
        error.public_message = "key " + name.text() + ": " + error.public_message;
        return error;
      }
    }
    return run.Advance(1, rotates ? 1 : 0, name.text(), std::chrono::steady_clock::now() - started);
  };
  return ForEachKey(environment, run.record().cursor, rotate);
}

}  // namespace

Result<TaskPlan> PlanRotationOfEverything(const PlanContext& context, const TaskRequest& request) {
  const std::string& name = request.environment;
  const std::shared_ptr<Environment> environment = KMS_TRY(Find(context.environments, name));
  const WallTime now = context.clock.Now();
  const Census census = KMS_TRY(TakeCensus(*environment, now));
  const GroupMaterial keys = KMS_TRY(context.environments.ReadKeys(name));
  const std::string key_version = std::to_string(keys.Versions().back() + 1);
  const std::string master_version = std::to_string(keys.group.current_master + 1);
  TaskPlan plan;
  plan.parameters = {{"key_version", key_version},
                     {"master_version", master_version},
                     {std::string(kSince), std::to_string(now.time_since_epoch().count())}};
  plan.entries = census.keys;
  plan.steps = {
      "give " + std::to_string(census.keys - census.stuck) + " keys a new version",
      "rotate the environment key to version " + key_version + " and seal every entry again",
      "rotate the master key to version " + master_version +
          "; retire the old one afterwards by kmsctl master retire"};
  plan.warnings = Describe(census);
  for (std::string& pending : PendingMembers(context.environments, name)) {
    plan.warnings.push_back(std::move(pending));
  }
  return plan;
}

Status RotateEverything(TaskRun& run) {
  const TaskRecord record = run.record();
  const std::string& name = record.environment;
  const std::shared_ptr<Environment> environment = KMS_TRY(Find(run.environments(), name));
  const Census before = KMS_TRY(TakeCensus(*environment, BeginOf(record)));
  if (before.fresh + before.stuck < before.keys) {
    KMS_TRY(RotateKeys(run, *environment, before.keys));
  }
  KMS_TRY(MoveToEnvironmentKey(run, name, record.VersionParameter("key_version")));
  KMS_TRY(MoveToMasterKey(run, name, record.VersionParameter("master_version"), nullptr));
  const Census after = KMS_TRY(TakeCensus(*environment, BeginOf(record)));
  run.ClearNotes();
  for (const std::string& line : Describe(after)) {
    run.Note(line);
  }
  for (const std::string& pending : PendingMembers(run.environments(), name)) {
    run.Note(pending);
  }
  run.Note("master key version " + std::to_string(record.VersionParameter("master_version") - 1) +
           " stays until it is retired: kmsctl master retire");
  return Ok();
}

}  // namespace kms
