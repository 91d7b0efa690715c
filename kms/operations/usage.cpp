// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/usage.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "kms/operations/key_storage.h"
#include "kms/operations/key_usage.h"
#include "kms/operations/rotate_key.h"
#include "kms/operations/self_rotation.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

// Each round either makes room or finds that somebody rotated.
constexpr int kRounds = 4;

// A rate over less than this would be a guess.
constexpr double kShortestAgeInDays = 1.0 / 24;

bool EncryptsWith(const KeyPolicy& policy, std::int64_t version) {
  return version >= std::max<std::int64_t>(policy.min_decryption_version,
                                           policy.min_encryption_version) &&
         version <= std::int64_t{policy.latest_version};
}

KeyUsage::Needs NeedsOf(const KeyPolicy& policy, std::span<const std::int64_t> requested) {
  KeyUsage::Needs needs;
  for (const std::int64_t version : requested) {
    const std::int64_t actual = version == 0 ? policy.latest_version : version;
    if (EncryptsWith(policy, actual)) {
      ++needs[static_cast<KeyVersionNumber>(actual)];
    }
  }
  return needs;
}

bool IsSameGeneration(const KeyPolicy& a, const KeyPolicy& b) {
  return a.incarnation == b.incarnation && a.latest_version == b.latest_version &&
         a.soft_deleted == b.soft_deleted;
}

// Leases for `key` or, when the store has another generation of it, puts that in its place.
// Returns a version without room, if there is one.
Result<std::optional<KeyVersionNumber>> Lease(Environment& environment, const KeyName& name,
                                              std::span<const std::int64_t> requested,
                                              KeyHandle& key) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  if (!loaded) {
    return InvalidArgument("encryption key not found");
  }
  if (!IsSameGeneration(loaded->key->policy(), key->policy())) {
    key = loaded->key;
    environment.PublishKey(std::move(loaded->key), loaded->revision);
  }
  const KeyPolicy& policy = key->policy();
  KMS_TRY(CheckUsable(policy));
  return environment.UsageOf(policy)->Lease(environment.store(), NeedsOf(policy, requested),
                                            environment.max_encryptions_per_version(),
                                            policy.min_available_version);
}

Error Spent(const Environment& environment, const KeyPolicy& policy, KeyVersionNumber version) {
  std::string advice = "rotate the key";
  if (version != policy.latest_version) {
    advice = "encrypt with the latest version";
  } else if (!CheckMayRotate(policy).has_value()) {
    advice = "import a new version";
  }
  return InvalidArgument("encryption under version " + std::to_string(version) +
                         " has reached its limit of " +
                         std::to_string(environment.max_encryptions_per_version()) + " uses; " +
                         advice);
}

// Whether a new version helps those who asked: they left the choice of version to the key.
bool RotationHelps(const KeyPolicy& policy, KeyVersionNumber spent,
                   std::span<const std::int64_t> requested) {
  return spent == policy.latest_version && std::ranges::find(requested, 0) != requested.end() &&
         std::ranges::find(requested, std::int64_t{spent}) == requested.end() &&
         CheckMayRotate(policy).has_value();
}

VersionUsage Describe(const KeyVersion& version, std::uint64_t encryptions, std::uint64_t limit,
                      WallTime now) {
  using Days = std::chrono::duration<double, std::ratio<86400>>;
  const double age = std::max(kShortestAgeInDays, Days(now - version.created).count());
  VersionUsage usage{.version = version.number,
                     .encryptions = encryptions,
                     .limit = limit,
                     .per_day = static_cast<double>(encryptions) / age,
                     .days_left = std::nullopt};
  if (encryptions != 0) {
    const auto left = static_cast<double>(limit - std::min(limit, encryptions));
    usage.days_left = static_cast<std::int64_t>(left / usage.per_day);
  }
  return usage;
}

}  // namespace

Result<KeyHandle> PrepareUsage(Environment& environment, const KeyName& name, KeyHandle key,
                               std::span<const std::int64_t> requested_versions) {
  for (int round = 1; round <= kRounds; ++round) {
    KMS_TRY(CheckUsable(*key));
    if (environment.UsageOf(key->policy())->HasRoom(NeedsOf(key->policy(), requested_versions))) {
      return key;
    }
    const std::optional<KeyVersionNumber> spent =
        KMS_TRY(Lease(environment, name, requested_versions, key));
    if (!spent) {
      return key;
    }
    if (!RotationHelps(key->policy(), *spent, requested_versions)) {
      return Spent(environment, key->policy(), *spent);
    }
    key = KMS_TRY(RotateBySelf(environment, name, *spent, kUsageRotation));
  }
  return Unavailable("the key's versions are used up faster than it rotates");
}

void ReturnLeases(Environment& environment, Deadline deadline) {
  for (const std::shared_ptr<KeyUsage>& usage : environment.Usages()) {
    if (environment.sealed() || environment.clock().SteadyNow() >= deadline) {
      return;
    }
    const ScopedLock lock(environment.KeyWriteMutex(usage->name()));
    IgnoreError(usage->Return(environment.store()), "what is not given back counts as used");
  }
}

Result<std::vector<VersionUsage>> DescribeUsage(Environment& environment, const Key& key) {
  std::vector<VersionUsage> usages;
  if (!TraitsOf(key.policy().type).supports_encryption) {
    return usages;
  }
  const std::map<KeyVersionNumber, std::uint64_t> encryptions =
      KMS_TRY(environment.UsageOf(key.policy())->Encryptions(environment.store()));
  for (const KeyVersion& version : key.versions()) {
    const auto found = encryptions.find(version.number);
    usages.push_back(Describe(version, found == encryptions.end() ? 0 : found->second,
                              environment.max_encryptions_per_version(),
                              environment.clock().Now()));
  }
  return usages;
}

}  // namespace kms
