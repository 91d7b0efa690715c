// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/auto_rotate.h"

#include <chrono>
#include <utility>
#include <vector>

#include "kms/operations/key_storage.h"
#include "kms/operations/key_usage.h"
#include "kms/operations/resident_census.h"
#include "kms/operations/rotate_key.h"
#include "kms/operations/self_rotation.h"

namespace kms {

namespace {

constexpr std::size_t kPage = 1000;
constexpr std::chrono::hours kSweepInterval{1};

// Near the limit is its last eighth: rotating there keeps the rotation out of somebody's request.
bool IsNear(std::uint64_t encryptions, std::uint64_t limit) {
  return encryptions >= limit - limit / 8;
}

std::optional<WallTime> DueTime(const Key& key) {
  const KeyPolicy& policy = key.policy();
  if (policy.auto_rotate_period_seconds == 0 || !CheckMayRotate(policy).has_value()) {
    return std::nullopt;
  }
  // In seconds: a period of centuries does not fit nanoseconds.
  const auto due = std::chrono::floor<std::chrono::seconds>(key.versions().back().created) +
                   std::chrono::seconds(policy.auto_rotate_period_seconds);
  constexpr auto kLatest = std::chrono::floor<std::chrono::seconds>(WallTime::max());
  return due >= kLatest ? std::nullopt : std::optional<WallTime>(due);
}

// Whether the version that is nearly used up is the one that encrypts, and may be replaced.
bool IsLatestOf(const KeyPolicy& policy, const KeyUsage& usage, KeyVersionNumber version) {
  return policy.incarnation == usage.incarnation() && policy.latest_version == version &&
         CheckMayRotate(policy).has_value();
}

}  // namespace

AutoRotateReport AutoRotator::Run(const std::function<bool()>& stop) {
  AutoRotateReport report;
  std::map<Uuid, Plans> kept;
  for (const std::shared_ptr<Environment>& environment : environments_.List()) {
    Plans& plans = kept[environment->identity().id];
    plans = std::move(plans_[environment->identity().id]);
    if (environment->sealed() || stop()) {
      continue;
    }
    const Status done = RunPeriods(*environment, plans, stop, report);
    if (!done.has_value() && !environment->sealed()) {
      ++report.failed;
      on_failure_(environment->identity().name, done.error());
    }
    RunLimits(*environment, stop, report);
    SweepTokens(*environment, report);
  }
  plans_ = std::move(kept);
  return report;
}

Status AutoRotator::RunPeriods(Environment& environment, Plans& plans,
                               const std::function<bool()>& stop, AutoRotateReport& report) {
  Plans seen;
  std::string after;
  while (true) {
    const std::vector<ListedEntry> entries =
        KMS_TRY(environment.store().List(kKeysPrefix, after, kPage));
    for (const ListedEntry& entry : entries) {
      if (stop()) {
        return Ok();
      }
      const std::string name = entry.path.substr(kKeysPrefix.size());
      Plan& plan = seen[name];
      if (const auto known = plans.find(name); known != plans.end()) {
        plan = known->second;
      }
      const Status refreshed = Refresh(environment, name, entry.revision, plan);
      if (!refreshed.has_value()) {
        ++report.failed;
        on_failure_(environment.identity().name + "/keys/" + name, refreshed.error());
        plan = {};
      }
      if (plan.due && *plan.due <= environment.clock().Now()) {
        Rotate(environment, name, plan.latest, kPeriodRotation, report);
      }
    }
    if (entries.size() < kPage) {
      break;
    }
    after = entries.back().path;
  }
  plans = std::move(seen);
  return Ok();
}

Status AutoRotator::Refresh(Environment& environment, const std::string& name, Revision revision,
                            Plan& plan) const {
  if (plan.revision == revision) {
    return Ok();
  }
  const std::optional<StoredKey> stored = KMS_TRY(ReadKey(environment, name));
  if (!stored) {
    plan = {};
    return Ok();
  }
  plan = {.revision = stored->revision,
          .latest = stored->key.policy().latest_version,
          .due = DueTime(stored->key)};
  return Ok();
}

void AutoRotator::RunLimits(Environment& environment, const std::function<bool()>& stop,
                            AutoRotateReport& report) {
  const std::uint64_t limit = environment.max_encryptions_per_version();
  for (const std::shared_ptr<KeyUsage>& usage : environment.Usages()) {
    if (stop() || environment.sealed()) {
      return;
    }
    const auto [version, encryptions] = usage->LatestUsed();
    if (version == 0 || !IsNear(encryptions, limit)) {
      continue;
    }
    const Result<std::optional<StoredKey>> stored = ReadKey(environment, usage->name());
    if (!stored.has_value()) {
      ++report.failed;
      on_failure_(environment.identity().name + "/keys/" + usage->name(), stored.error());
      continue;
    }
    if (stored->has_value() && IsLatestOf((*stored)->key.policy(), *usage, version)) {
      Rotate(environment, usage->name(), version, kUsageRotation, report);
    }
  }
}

void AutoRotator::SweepTokens(Environment& environment, AutoRotateReport& report) {
  const SteadyTime now = environment.clock().SteadyNow();
  const auto last = swept_.find(environment.identity().id);
  if (environment.sealed() || (last != swept_.end() && now - last->second < kSweepInterval)) {
    return;
  }
  swept_.insert_or_assign(environment.identity().id, now);
  const Status swept = SweepResidentKeys(environment);
  if (!swept.has_value()) {
    ++report.failed;
    on_failure_(environment.identity().name + "/keys in HSMs", swept.error());
  }
}

void AutoRotator::Rotate(Environment& environment, const std::string& name,
                         KeyVersionNumber latest, std::string_view who,
                         AutoRotateReport& report) {
  const Result<KeyName> key = KeyName::Parse(name);
  const Result<KeyHandle> rotated =
      key.has_value() ? RotateBySelf(environment, *key, latest, who) : Result<KeyHandle>(key.error());
  if (rotated.has_value()) {
    ++report.rotated;
    return;
  }
  ++report.failed;
  on_failure_(environment.identity().name + "/keys/" + name, rotated.error());
}

}  // namespace kms
