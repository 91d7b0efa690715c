// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/configure_key.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

namespace {

// A change can be applied again to whatever someone else made of the key meanwhile.
constexpr int kAttempts = 4;

constexpr std::string_view kVersionZeroWarning =
    "since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1";

// Returns the version a request asks for, judged by its sign and the latest one.
Result<KeyVersionNumber> CheckedVersion(std::int64_t asked, std::string_view what,
                                        const KeyPolicy& policy, KeyVersionNumber current) {
  const std::string name = "min " + std::string(what) + " version";
  if (asked < 0) {
    return InvalidArgument(name + " cannot be negative");
  }
  if (asked != current && asked > policy.latest_version) {
    return InvalidArgument("cannot set " + name + " of " + std::to_string(asked) +
                           ", latest key version is " + std::to_string(policy.latest_version));
  }
  return static_cast<KeyVersionNumber>(asked);
}

Status ApplyVersions(const KeyConfigChange& change, KeyPolicy& policy,
                     std::vector<std::string>& warnings) {
  if (change.min_decryption_version) {
    if (*change.min_decryption_version == 0) {
      warnings.emplace_back(kVersionZeroWarning);
    }
    const std::int64_t asked =
        *change.min_decryption_version == 0 ? 1 : *change.min_decryption_version;
    policy.min_decryption_version =
        KMS_TRY(CheckedVersion(asked, "decryption", policy, policy.min_decryption_version));
  }
  if (change.min_encryption_version) {
    policy.min_encryption_version =
        KMS_TRY(CheckedVersion(*change.min_encryption_version, "encryption", policy,
                               policy.min_encryption_version));
  }
  if (policy.min_encryption_version > 0 &&
      policy.min_encryption_version < policy.min_decryption_version) {
    return InvalidArgument(
        "cannot set min encryption/decryption values; min encryption version of " +
        std::to_string(policy.min_encryption_version) +
        " must be greater than or equal to min decryption version of " +
        std::to_string(policy.min_decryption_version));
  }
  return Ok();
}

Status ApplyPeriod(const KeyConfigChange& change, KeyPolicy& policy) {
  if (!change.auto_rotate_period_seconds) {
    return Ok();
  }
  const std::int64_t period = *change.auto_rotate_period_seconds;
  if (period != 0 && period < 3600) {
    return InvalidArgument("auto rotate period must be 0 to disable or at least an hour");
  }
  if (period != 0 && policy.protection == KeyProtection::kExternal) {
    return InvalidArgument("auto rotate period must be disabled on external keys");
  }
  policy.auto_rotate_period_seconds = period;
  return Ok();
}

// Checks in the order of transit-api 6.5.
Result<KeyPolicy> Apply(const KeyConfigChange& change, KeyPolicy policy,
                        std::vector<std::string>& warnings) {
  KMS_TRY(ApplyVersions(change, policy, warnings));
  policy.deletion_allowed = change.deletion_allowed.value_or(policy.deletion_allowed);
  policy.exportable = policy.exportable || change.exportable.value_or(false);
  policy.allow_plaintext_backup =
      policy.allow_plaintext_backup || change.allow_plaintext_backup.value_or(false);
  if (policy.is_resident() && (policy.exportable || policy.allow_plaintext_backup)) {
    return InvalidArgument("a key that lives in an HSM cannot be made exportable or backed up: it "
                           "never leaves the HSM");
  }
  KMS_TRY(ApplyPeriod(change, policy));
  if (policy.min_available_version > policy.min_encryption_version) {
    return InvalidArgument("min encryption version should not be less than min available version");
  }
  if (policy.min_available_version > policy.min_decryption_version) {
    return InvalidArgument("min decryption version should not be less then min available version");
  }
  return policy;
}

bool SameConfiguration(const KeyPolicy& a, const KeyPolicy& b) {
  return a.min_decryption_version == b.min_decryption_version &&
         a.min_encryption_version == b.min_encryption_version &&
         a.deletion_allowed == b.deletion_allowed && a.exportable == b.exportable &&
         a.allow_plaintext_backup == b.allow_plaintext_backup &&
         a.auto_rotate_period_seconds == b.auto_rotate_period_seconds;
}

// The versions of `policy`'s working set: from the archive what `key` does not have in its own.
Result<std::vector<KeyVersion>> WorkingSet(Environment& environment, const Key& key,
                                           const KeyPolicy& policy) {
  std::vector<KeyVersion> versions;
  const KeyVersionNumber first = policy.min_decryption_version;
  const KeyVersionNumber first_kept = key.policy().min_decryption_version;
  if (first < first_kept) {
    versions = KMS_TRY(ReadArchive(environment, policy.incarnation, first, first_kept - 1));
  }
  for (const KeyVersion& version : key.versions()) {
    if (version.number >= first) {
      versions.push_back(KMS_TRY(version.Clone()));
    }
  }
  return versions;
}

Result<ConfigureKeyOutcome> ConfigureOnce(Environment& environment, const KeyName& name,
                                          const KeyConfigChange& change) {
  std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  if (!loaded) {
    return InvalidArgument("no existing key named " + name.text() + " could be found");
  }
  ConfigureKeyOutcome outcome;
  KeyPolicy policy = KMS_TRY(Apply(change, loaded->key->policy(), outcome.warnings));
  if (SameConfiguration(policy, loaded->key->policy())) {
    outcome.key = std::move(loaded->key);
    return outcome;
  }
  std::vector<KeyVersion> versions = KMS_TRY(WorkingSet(environment, *loaded->key, policy));
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  outcome.key = KMS_TRY(StoreKey(environment, std::move(next), loaded->revision, {}));
  return outcome;
}

}  // namespace

Result<ConfigureKeyOutcome> ConfigureKey(Environment& environment, const KeyName& name,
                                         const KeyConfigChange& change) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  for (int attempt = 1;; ++attempt) {
    Result<ConfigureKeyOutcome> outcome = ConfigureOnce(environment, name, change);
    const bool again = !outcome.has_value() && outcome.error().code == ErrorCode::kConflict;
    if (!again || attempt == kAttempts) {
      return outcome;
    }
  }
}

}  // namespace kms
