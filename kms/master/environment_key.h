// SPDX-License-Identifier: Apache-2.0
// EnvironmentKeyring: the unwrapped environment keys of one environment, in memory only while it is
// unsealed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

using EnvironmentKeyVersion = std::uint32_t;

inline constexpr std::size_t kEnvironmentKeyBytes = 32;

// What a wrapped environment key is bound to: "kms environment key v1", the environment and the
// version, each as a 4-byte big-endian length and its bytes (the version has 4, big-endian).
Bytes EnvironmentKeyContext(const Uuid& environment_id, EnvironmentKeyVersion version);

// Thread rule: any thread.
class EnvironmentKeyring {
 public:
  // Adds a version; the highest one added seals new entries. Errors: kInvalidArgument (size, or a
  // different key under a known version).
  Status Add(EnvironmentKeyVersion version, SecretBytes key);

  // Puts exactly `keys` in place of whatever was there, at once. Errors: kInvalidArgument (none, or
  // a size); nothing is changed then.
  Status Replace(std::map<EnvironmentKeyVersion, SecretBytes> keys);

  // A copy of the key to derive from. Errors: kUnavailable "environment is sealed",
  // kCorrupted for an unknown version.
  [[nodiscard]] Result<SecretBytes> Find(EnvironmentKeyVersion version) const;

  // The version new entries are sealed under. Errors: kUnavailable when sealed.
  [[nodiscard]] Result<EnvironmentKeyVersion> Latest() const;

  // Whether `key` is the one held under `version`; constant time in the contents.
  [[nodiscard]] bool Holds(EnvironmentKeyVersion version, const SecretBytes& key) const;

  // Wipes the versions below `keep_from`, but never the latest.
  void Forget(EnvironmentKeyVersion keep_from);

  // Forgets and wipes every key: the environment is sealed.
  void Wipe();
  [[nodiscard]] bool sealed() const;

 private:
  mutable SharedMutex mutex_;
  std::map<EnvironmentKeyVersion, SecretBytes> keys_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms
