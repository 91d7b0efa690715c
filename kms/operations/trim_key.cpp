// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/trim_key.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kms/operations/key_storage.h"
#include "kms/operations/resident_census.h"

namespace kms {

namespace {

// Checks in the order of transit-api 6.7, whose spelling is part of the contract.
Result<KeyVersionNumber> CheckedMinimum(const std::optional<std::int64_t>& asked,
                                        const KeyPolicy& policy) {
  if (!asked) {
    return InvalidArgument("missing min_available_version");
  }
  const std::string subject = "minimum available version ";
  if (*asked < policy.min_available_version) {
    return InvalidArgument(subject + "cannot be decremented");
  }
  if (policy.min_encryption_version == 0) {
    return InvalidArgument(subject + "cannot be set when minimum encryption version is not set");
  }
  if (policy.min_decryption_version == 0) {
    return InvalidArgument(subject + "cannot be set when minimum decryption version is not set");
  }
  if (*asked > policy.min_encryption_version) {
    return InvalidArgument(subject + "cannot be greater than minmum encryption version");
  }
  if (*asked > policy.min_decryption_version) {
    return InvalidArgument(subject + "cannot be greater than minimum decryption version");
  }
  if (*asked < 0) {
    return InvalidArgument(subject + "cannot be negative");
  }
  if (*asked == 0) {
    return InvalidArgument(subject + "should be positive");
  }
  return static_cast<KeyVersionNumber>(*asked);
}

Result<Key> Trimmed(const Key& key, KeyVersionNumber minimum) {
  KeyPolicy policy = key.policy();
  policy.min_available_version = minimum;
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : key.versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  return Key::Create(std::move(policy), std::move(versions));
}

Result<KeyHandle> TrimEntries(Environment& environment, const KeyName& name,
                              std::optional<std::int64_t> min_available_version) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  if (!loaded) {
    return InvalidArgument("invalid key name");
  }
  const KeyPolicy& policy = loaded->key->policy();
  const KeyVersionNumber minimum = KMS_TRY(CheckedMinimum(min_available_version, policy));
  ArchiveErasure erasure = KMS_TRY(EraseArchive(environment, policy.incarnation, minimum));
  if (minimum == policy.min_available_version && erasure.mutations.empty()) {
    return std::move(loaded->key);
  }
  std::vector<SealedMutation> doomed =
      KMS_TRY(DoomResidentVersions(environment, policy, minimum));
  std::ranges::move(doomed, std::back_inserter(erasure.mutations));
  Key next = KMS_TRY(Trimmed(*loaded->key, minimum));
  KeyHandle trimmed = KMS_TRY(
      StoreKey(environment, std::move(next), loaded->revision, std::move(erasure.mutations)));
  if (!erasure.complete) {
    // The versions are out of reach already; an error here says that they are not erased yet, and
    // trimming again finishes it.
    KMS_TRY(SweepGarbage(environment));
  }
  return trimmed;
}

}  // namespace

Result<KeyHandle> TrimKey(Environment& environment, const KeyName& name,
                          std::optional<std::int64_t> min_available_version) {
  KeyHandle trimmed = KMS_TRY(TrimEntries(environment, name, min_available_version));
  if (trimmed->policy().is_resident()) {
    IgnoreError(SweepResidentKeys(environment, trimmed->policy().incarnation),
                "the versions are out of reach; objects in a token that is away are swept when it "
                "is back");
  }
  return trimmed;
}

}  // namespace kms
