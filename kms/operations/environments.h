// SPDX-License-Identifier: Apache-2.0
// Environments: every environment of this service, the `sys` one that seals the list, and their
// life: create, unseal, seal, tune, delete.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/keys/names.h"
#include "kms/master/hsm_randomness.h"
#include "kms/master/master_key_device.h"
#include "kms/operations/environment.h"
#include "kms/store/store.h"

namespace kms {

struct EnvironmentsOptions {
  std::chrono::milliseconds hsm_timeout{5000};  // per HSM call
  std::chrono::milliseconds lease_interval{5000};
  std::chrono::milliseconds lease_grace{60000};
  EnvironmentLimits limits;  // of each environment
  AuditLog* audit = nullptr;  // where rotations that nobody asked for are recorded
};

using SettingsChange = std::function<Status(EnvironmentSettings&)>;

struct CreateEnvironmentRequest {
  EnvironmentSettings settings;
};

struct EnvironmentStatus {
  std::string name;
  bool sealed = false;
  std::string reason;  // why it is sealed
  std::string master_key_label;
  std::uint32_t master_key_version = 0;
  EnvironmentKeyVersion environment_key_version = 0;
  std::string wrap_mechanism;
  std::optional<std::int64_t> lease_age_ms;  // since the last successful proof
};

// Stored outside any sealed store (they are what opens it), authenticated by the wrap's context:
//   "root"                          RootRecord: the ids of `sys` and of its master key
//   "master/<environment id>"       MasterKeyRecord
//   "wrapped/<environment id>/<n>"  WrappedKey of environment key version n (10 digits)
// and sealed in `sys`:
//   "environments/<name>"           EnvironmentRecord: identity, settings, stage
//   "pending/<name>"                PendingEnvironment: the ids of a creation under way
// Thread rule: any thread.
class Environments {
 public:
  // Opens the list; on a new store creates `sys` (its master key included). Environments whose
  // master key is away or wrong start sealed with the reason; `sys` itself must open.
  // `store`, `device`, `clock` must outlive the result.
  // Errors: kUnavailable (HSM away), kFailedPrecondition (master key missing or ambiguous: never
  // re-created in an initialised store, H11), kCorrupted (store damaged or another token's).
  static Result<std::unique_ptr<Environments>> Open(Store& store, MasterKeyDevice& device,
                                                    const Clock& clock,
                                                    EnvironmentsOptions options);
  ~Environments();

  // nullptr when there is none. Hot path: one shared lock, no allocation.
  [[nodiscard]] std::shared_ptr<Environment> Find(std::string_view name) const;
  // The environment whose name is the longest prefix of `path` ("prod/encrypt/app" finds "prod"),
  // or nullptr; `rest` receives what follows the '/'. Hot path.
  [[nodiscard]] std::shared_ptr<Environment> FindByPath(std::string_view path,
                                                        std::string_view& rest) const;
  // Sorted by name; without `sys`.
  [[nodiscard]] std::vector<std::shared_ptr<Environment>> List() const;
  [[nodiscard]] std::shared_ptr<Environment> sys() const;

  // Makes master key, environment key and entry. Crash-safe: an interrupted creation leaves nothing
  // that hinders a second one. Errors: kAlreadyExists "path is already in use at NAME/",
  // kInvalidArgument when the name nests with an existing one, and those of device and store.
  Result<std::shared_ptr<Environment>> Create(const EnvironmentName& name,
                                              const CreateEnvironmentRequest& request);
  // Applies `change` to the stored settings and stores them; writers wait for each other, so none
  // undoes what another set. Returns the new settings. Errors: kNotFound "no such environment",
  // those of `change` (nothing is stored then), store errors.
  Result<EnvironmentSettings> Tune(const EnvironmentName& name, const SettingsChange& change);
  // Deletes every entry, the wrapped keys and the master key object. Success when absent.
  // It answers nothing from the first step on; an interrupted deletion goes on when it is asked for
  // again, when the name is created again and when the store is opened.
  // Errors: kFailedPrecondition while protected, those of device and store.
  Status Delete(const EnvironmentName& name);

  // One lease round: proves each environment's key by a real unwrap compared in constant time,
  // seals those whose proof has failed for longer than lease_grace, unseals those that can open
  // again. Called every lease_interval by one thread (kmsd's main).
  void ProveLeases();

  // Seals one environment until Unseal; the HSM's return does not open it. Not kept over a restart.
  // Errors: kNotFound "no such environment".
  Status Seal(std::string_view name, std::string reason);
  // Opens it again. Errors: kNotFound, those of device and store.
  Status Unseal(std::string_view name);

  // `sys` first, then by name.
  [[nodiscard]] std::vector<EnvironmentStatus> Statuses() const;
  [[nodiscard]] MasterKeyDevice& device() const;
  [[nodiscard]] HsmRandomness& hsm_randomness() const;

 private:
  struct Impl;
  explicit Environments(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kms
