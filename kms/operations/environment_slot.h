// SPDX-License-Identifier: Apache-2.0
// EnvironmentSlot: one environment with what opens it, and the proof that the HSM still can.
// Private to Environments.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/environment_key.h"
#include "kms/master/master_key_device.h"
#include "kms/operations/environments.h"
#include "kms/store/store.h"

namespace kms::internal {

// What is stored of an environment's keys.
struct EnvironmentMaterial {
  MasterKeyRecord master;
  std::map<EnvironmentKeyVersion, WrappedKey> wrapped;  // never empty
};

std::string MasterPath(const Uuid& environment_id);
std::string WrappedPrefix(const Uuid& environment_id);
std::string WrappedPath(const Uuid& environment_id, EnvironmentKeyVersion version);

// Errors: kCorrupted when a record is missing or damaged, store errors.
Result<EnvironmentMaterial> ReadMaterial(Store& store, const Uuid& environment_id);

// One HSM call's share of time.
using CallTimeout = std::chrono::milliseconds;

// Checks the sentinel and unwraps every version. Errors: those of the device, with a message that
// names environment and master key and what to do.
Result<std::map<EnvironmentKeyVersion, SecretBytes>> UnwrapAll(MasterKeyDevice& device,
                                                               const Clock& clock,
                                                               CallTimeout timeout,
                                                               const EnvironmentIdentity& identity,
                                                               const EnvironmentMaterial& material);

// A fresh environment key, wrapped.
struct FreshEnvironmentKey {
  SecretBytes key;
  WrappedKey wrapped;
};

// Makes version 1 of an environment's key. The wrap is opened again and compared before it is
// returned: one that does not open would lose everything sealed under the key (H20).
// Errors: those of the device; kUnavailable when the wrap does not open.
Result<FreshEnvironmentKey> MakeEnvironmentKey(MasterKeyDevice& device, const Clock& clock,
                                               CallTimeout timeout, const MasterKeyRecord& master,
                                               const Uuid& environment_id);

// Thread rule: any thread.
class EnvironmentSlot {
 public:
  // `store`, `device` and `clock` must outlive it.
  EnvironmentSlot(std::shared_ptr<Environment> environment, Store& store, MasterKeyDevice& device,
                  const Clock& clock, const EnvironmentsOptions& options);

  [[nodiscard]] const std::shared_ptr<Environment>& environment() const { return environment_; }

  // Reads what is stored, opens it by the HSM and unseals the environment; seals it with the reason
  // otherwise. One that is held sealed stays so.
  Status Open(CallTimeout timeout);

  // The same for keys that were just made and wrapped.
  Status Adopt(EnvironmentMaterial material, EnvironmentKeyVersion version, SecretBytes key);

  // One lease round. Returns the error of a failed proof; seals when it has failed for longer than
  // the grace, opens a sealed environment that can be opened.
  Status Prove(CallTimeout timeout);

  // Seals an open one whose last proof is older than the grace; asks no HSM.
  void SealIfExpired(const Error& error);

  // Seals it, and no proof unseals it any more until Release: for operators and for deletion.
  void HoldSealed(std::string reason);
  // Errors: as Open.
  Status Release(CallTimeout timeout);

  [[nodiscard]] EnvironmentStatus Describe() const;

 private:
  Status ProveLatest(CallTimeout timeout, const EnvironmentMaterial& material);
  Status Unseal(EnvironmentMaterial material, std::map<EnvironmentKeyVersion, SecretBytes> keys,
                SteadyTime proven);
  // Seals with the reason, unless a better one holds it sealed.
  void SealFor(const Error& error);
  [[nodiscard]] bool GraceIsOver() const;

  const std::shared_ptr<Environment> environment_;
  Store& store_;
  MasterKeyDevice& device_;
  const Clock& clock_;
  const EnvironmentsOptions options_;

  mutable Mutex mutex_;
  std::optional<EnvironmentMaterial> material_ KMS_GUARDED_BY(mutex_);
  std::optional<SteadyTime> proven_ KMS_GUARDED_BY(mutex_);
  bool held_sealed_ KMS_GUARDED_BY(mutex_) = false;
};

}  // namespace kms::internal
