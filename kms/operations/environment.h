// SPDX-License-Identifier: Apache-2.0
// Environment: one live environment: identity, sealed store, seal state and the warm keys.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"
#include "kms/master/environment_key.h"
#include "kms/master/sealed_store.h"

namespace kms {

class AuditLog;
class HsmRegistry;
class KeyUsage;
class ResidentKeys;

// NIST SP 800-38D allows 2^32 messages under a key with random nonces; the margin is wider than
// whatever a crash can waste or other counting can miss. No setting goes above it.
inline constexpr std::uint64_t kMaxEncryptionsPerVersion =
    (std::uint64_t{1} << 32U) - (std::uint64_t{1} << 24U);
// The option that lowers it for one environment.
inline constexpr std::string_view kMaxEncryptionsOption = "max_encryptions_per_version";

// What is stored of an environment and may be changed by tuning.
struct EnvironmentSettings {
  std::string description;
  bool is_protected = false;      // cannot be deleted until tuned otherwise
  bool disable_upsert = false;    // config/keys
  std::int64_t default_lease_ttl_seconds = 0;  // 0: the server's default; echoed to clients
  std::int64_t max_lease_ttl_seconds = 0;
  std::map<std::string, std::string> options;  // as given at creation, without those above
};

struct EnvironmentIdentity {
  Uuid id;
  std::string name;      // the mount path without trailing '/'
  std::string accessor;  // "transit_1a2b3c4d"
  std::int64_t created_unix_seconds = 0;
};

struct EnvironmentLimits {
  std::size_t max_warm_keys = 100'000;
  std::uint64_t max_encryptions_per_version = kMaxEncryptionsPerVersion;
};

// Thread rule: any thread. Hot-path members never touch store or HSM. Starts sealed.
class Environment {
 public:
  // `store` and `clock` must outlive it.
  Environment(EnvironmentIdentity identity, EnvironmentSettings settings, Store& store,
              const Clock& clock, EnvironmentLimits limits = {});

  [[nodiscard]] const EnvironmentIdentity& identity() const { return identity_; }
  [[nodiscard]] EnvironmentSettings settings() const;
  void ReplaceSettings(EnvironmentSettings settings);

  // --- hot path ---
  // The key if it is in memory and may be used, and the environment is unsealed; nullptr otherwise
  // (cold, missing, soft-deleted or sealed, or its use waits for an HSM: take the slow lane and call
  // FindKey). No allocation, no I/O, one shared lock.
  [[nodiscard]] KeyHandle WarmKey(std::string_view name) const;
  [[nodiscard]] bool sealed() const { return keyring_.sealed(); }
  // Options of settings() that are asked on every use of a key; read without a lock.
  [[nodiscard]] bool verifies_encryption() const;  // "verify_encrypt"
  [[nodiscard]] bool allows_pkcs1v15() const;      // "allow_pkcs1v15"

  // --- slow lane ---
  // Returns the key, reading the store once if it is cold; concurrent misses share that read.
  // nullptr when there is no such key. Errors: as SealedStore.
  Result<KeyHandle> FindKey(const KeyName& name);

  // Drops the cached key so that the next use rereads the store: after a commit whose outcome is
  // unknown, and on changes by others.
  void ForgetKey(std::string_view name);
  // Publishes what was just committed. A handle older (by revision) than the cached one is ignored.
  void PublishKey(KeyHandle key, Revision revision);

  // Serialises rotate, config, trim, delete and create of one key; readers are not affected.
  // Held over store commits only, never over HSM calls.
  [[nodiscard]] Mutex& KeyWriteMutex(std::string_view name);
  // Serialises the making of the wrapping key. Held over an HSM call of seconds: wait with a limit.
  [[nodiscard]] std::timed_mutex& wrapping_key_mutex();

  // --- how often keys encrypt: kms/operations/usage.h ---
  // Makes a key that may be shared: its versions get the counters that all its snapshots have.
  KeyHandle Share(Key key);
  // The counters of the key; made when first asked for.
  std::shared_ptr<KeyUsage> UsageOf(const KeyPolicy& policy);
  // Drops the counters of a key that is gone.
  void ForgetUsage(const Uuid& incarnation);
  // Those of every key that encrypted in this process.
  [[nodiscard]] std::vector<std::shared_ptr<KeyUsage>> Usages() const;
  [[nodiscard]] std::uint64_t max_encryptions_per_version() const;
  // Where rotations that nobody asked for are recorded; without one they are not. Call before
  // other threads use the environment; `audit` must outlive it.
  void set_audit(AuditLog& audit);
  [[nodiscard]] AuditLog* audit() const;
  // The tokens in which its keys may live; nullptr when there are none. Set like the audit log.
  void set_hsms(HsmRegistry& hsms);
  [[nodiscard]] HsmRegistry* hsms() const;
  // How its keys work that live in those tokens; nullptr when there are none.
  [[nodiscard]] const std::shared_ptr<ResidentKeys>& resident_keys() const;
  // One rotation that nobody asked for at a time. Held over such a rotation and its records.
  [[nodiscard]] Mutex& self_rotation_mutex();

  // Wipes environment keys and warm keys; calls answer kUnavailable until unsealed again.
  void Seal(std::string reason);
  // Stays sealed, with a reason, when `key` is none.
  void Unseal(EnvironmentKeyVersion version, SecretBytes key);
  // The same with every version at once. Errors: kInvalidArgument, as EnvironmentKeyring::Replace.
  Status Unseal(std::map<EnvironmentKeyVersion, SecretBytes> keys);
  // One more version while it is unsealed; the highest seals new entries. Errors: kUnavailable when
  // sealed, as EnvironmentKeyring::Add.
  Status AddKey(EnvironmentKeyVersion version, SecretBytes key);
  // Wipes the versions below `keep_from`, but never the latest.
  void ForgetKeys(EnvironmentKeyVersion keep_from);
  [[nodiscard]] std::string seal_reason() const;  // empty when unsealed

  [[nodiscard]] SealedStore& store() { return sealed_store_; }
  [[nodiscard]] const EnvironmentKeyring& keyring() const { return keyring_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  // Number of warm keys; for status pages.
  [[nodiscard]] std::size_t warm_keys() const;

 private:
  struct Impl;
  EnvironmentIdentity identity_;
  const Clock& clock_;
  EnvironmentKeyring keyring_;
  SealedStore sealed_store_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace kms
