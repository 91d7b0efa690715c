// SPDX-License-Identifier: Apache-2.0
// EnvironmentKeyring: the unwrapped environment keys of one environment, in memory only while it is
// unsealed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

using EnvironmentKeyVersion = std::uint32_t;

inline constexpr std::size_t kEnvironmentKeyBytes = 32;

// Thread rule: any thread.
class EnvironmentKeyring {
 public:
  // Adds a version; the highest one added seals new entries. Errors: kInvalidArgument (size, or a
  // different key under a known version).
  Status Add(EnvironmentKeyVersion version, SecretBytes key);

  // A copy of the key to derive from. Errors: kUnavailable "environment is sealed",
  // kCorrupted for an unknown version.
  [[nodiscard]] Result<SecretBytes> Find(EnvironmentKeyVersion version) const;

  // The version new entries are sealed under. Errors: kUnavailable when sealed.
  [[nodiscard]] Result<EnvironmentKeyVersion> Latest() const;

  // Forgets and wipes every key: the environment is sealed.
  void Wipe();
  [[nodiscard]] bool sealed() const;

 private:
  mutable SharedMutex mutex_;
  std::map<EnvironmentKeyVersion, SecretBytes> keys_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms
