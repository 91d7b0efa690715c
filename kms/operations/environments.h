// SPDX-License-Identifier: Apache-2.0
// Environments: every environment of this service, the `sys` one that seals the list, and their
// life: create, unseal, seal, tune, delete.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/keys/names.h"
#include "kms/master/hsm_randomness.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/key_group.h"
#include "kms/operations/environment.h"
#include "kms/operations/lost_hsm.h"
#include "kms/recovery/recipients.h"
#include "kms/store/store.h"

namespace kms {

// The grace of an environment that keeps its keys whatever becomes of its HSMs: availability is
// bought with keys that stay in memory while nothing proves that the HSM is there.
inline constexpr std::chrono::milliseconds kLeaseForever = std::chrono::milliseconds::max();

struct EnvironmentsOptions {
  std::chrono::milliseconds hsm_timeout{5000};  // per HSM call
  // Of environments whose options "lease_interval" and "lease_grace" say nothing else.
  std::chrono::milliseconds lease_interval{5000};
  std::chrono::milliseconds lease_grace{60000};
  EnvironmentLimits limits;  // of each environment
  AuditLog* audit = nullptr;  // where what nobody asked for is recorded: rotations, leases, healing
  // What an operator should hear of at once; may be empty. Any thread.
  std::function<void(std::string_view what)> alarm;
};

using SettingsChange = std::function<Status(EnvironmentSettings&)>;

struct CreateEnvironmentRequest {
  EnvironmentSettings settings;
  std::vector<std::string> hsms;  // names of tokens; empty: those of `sys`
  std::optional<RecoveryRecipients> recovery;  // who may open it without any HSM
};

enum class MemberState : std::uint8_t {
  kUnknown,  // not asked yet
  kReady,    // opened the environment key at its last proof
  kAway,     // did not answer
  kHealing,  // answers, but lacks a master key or wraps: it gets them
  kRefused,  // opens to other bytes, lost its master key or must not be used: an operator must act
};
std::string_view MemberStateName(MemberState state);

struct MemberStatus {
  std::string hsm;
  std::uint32_t order = 0;
  std::uint32_t weight = 1;
  MemberState state = MemberState::kUnknown;
  std::string reason;  // empty when ready
  std::optional<std::int64_t> proof_age_ms;  // since its last successful proof
  std::vector<MasterKeyVersion> master_versions;  // recorded for it
  std::string master_key_label;  // of the newest
  std::uint32_t missing_wraps = 0;
};

// The latest sealing of an environment in this process.
struct LastSeal {
  std::int64_t unix_seconds = 0;
  std::string reason;
  // Of a lease that ran out: for how long no token had proven it, and how long after the end of the
  // grace the keys were wiped.
  std::optional<std::int64_t> unproven_ms;
  std::optional<std::int64_t> late_ms;
};

struct EnvironmentStatus {
  std::string name;
  bool sealed = false;
  std::string reason;  // why it is sealed
  std::string master_key_label;  // of the first member
  std::uint32_t master_key_version = 0;  // the current one
  EnvironmentKeyVersion environment_key_version = 0;  // the latest
  std::vector<EnvironmentKeyVersion> environment_key_versions;  // every one that is kept
  std::string wrap_mechanism;
  std::optional<std::int64_t> lease_age_ms;  // since the last successful proof by any member
  std::int64_t lease_interval_ms = 0;
  std::optional<std::int64_t> lease_grace_ms;  // absent: for ever
  std::vector<MemberStatus> members;
  std::optional<LastSeal> last_seal;
};

// One step of re-sealing an environment's entries under its latest key.
struct ResealedPage {
  std::string next;  // where the next step begins; empty: the end was reached
  std::uint64_t seen = 0;
  std::uint64_t resealed = 0;
};

// Stored outside any sealed store (they are what opens it), authenticated by the wrap's context:
//   "root"                          RootRecord: the ids of `sys` and of its master key
//   groups, master keys and wraps: kms/master/key_group.h
// and sealed in `sys`:
//   "environments/<name>"           EnvironmentRecord: identity, settings, stage
//   "pending/<name>"                PendingEnvironment: the ids of a creation under way
//   "lost-hsms/<id>/…"              LostHsm: tokens that will never come back
// Thread rule: any thread.
class Environments {
 public:
  // Opens the list; on a new store creates `sys` (its master key included). Environments whose
  // master key is away or wrong start sealed with the reason; `sys` itself must open.
  // `store`, `hsms`, `clock` must outlive the result. A new store begins on the tokens `first`.
  // Errors: kUnavailable (HSM away), kFailedPrecondition (master key missing or ambiguous: never
  // re-created in an initialised store, H11), kCorrupted (store damaged or another token's).
  static Result<std::unique_ptr<Environments>> Open(Store& store, HsmRegistry& hsms,
                                                    const Clock& clock,
                                                    EnvironmentsOptions options,
                                                    const std::vector<std::string>& first = {
                                                        std::string(kDefaultHsm)});
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

  // --- leases ---
  // One round of one token: proves by a real unwrap, compared in constant time, that it opens the
  // key of each environment it serves; opens those that are sealed for want of one; gives it the
  // master keys and wraps it lacks. Called every lease interval by the token's own thread, so that
  // one that hangs holds up no other.
  void ProveLeases(std::string_view hsm);
  // Seals the environments that no token has proven for longer than their grace; records how long
  // that was. Asks no HSM: called several times per interval by a thread of its own.
  void SealExpired();
  // The shortest interval that any environment asks for.
  [[nodiscard]] std::chrono::milliseconds ShortestLeaseInterval() const;

  // --- groups; `name` may be "sys" ---
  // Makes a token one more that opens the environment: the current master version is made in it and
  // every environment key wrapped and opened again before it counts. Changes order and weight of
  // one that is a member already. Errors: kNotFound (environment, token), kUnavailable while the
  // environment is sealed, and those of device and store.
  Status JoinHsm(std::string_view name, const GroupMember& member);
  // Takes a token out of the group: its wraps are deleted; the master keys in it stay until
  // they are retired by RetireMasterKey or `destroy`ed here. Errors: kNotFound,
  // kFailedPrecondition when it is the last that opens something, naming it.
  Status LeaveHsm(std::string_view name, std::string_view hsm, bool destroy);
  // Declares a token lost that will never come back, whether it is in the group still or left it:
  // its wraps and the records of its master keys are deleted, so that nothing waits for it any
  // more; LostHsms tells what stays in it. A token of that name may join as a new one afterwards.
  // Errors: kNotFound when it holds nothing of the environment; kFailedPrecondition when it is the
  // last that opens something, when keys live in it, when it answers and still holds a recorded
  // master key, or while the environment is sealed; kConflict, store errors.
  Status LoseHsm(std::string_view name, std::string_view hsm, const LossDeclaration& declaration);
  // Tokens that were declared lost, oldest first. Errors: kNotFound, those of `sys`.
  Result<std::vector<LostHsm>> LostHsms(std::string_view name) const;
  // A signed statement tells of what lost tokens hold of that master key version: nothing needs to
  // remember it any more. Errors: kNotFound, kConflict, those of `sys`.
  Status SettleLostKeys(std::string_view name, MasterKeyVersion version);

  // --- versions of keys; `name` may be "sys"; for kms/tasks ---
  // What is stored of its keys now.
  Result<GroupMaterial> ReadKeys(std::string_view name) const;
  // Makes environment key `version` (the latest + 1; done when it exists), wraps it by every member
  // that answers and opens each wrap again, stores the wraps, and seals new entries under it.
  // Errors: kUnavailable when no member answers or it is sealed, kInvalidArgument for another
  // version, store errors.
  Status AddEnvironmentKey(std::string_view name, EnvironmentKeyVersion version);
  // Re-seals at most `limit` entries after `after` that are sealed under an older key. Entries that
  // change meanwhile are sealed under the latest by whoever changes them.
  Result<ResealedPage> ResealEntries(std::string_view name, const std::string& after,
                                     std::size_t limit);
  // How many entries are sealed under each key version.
  Result<std::map<EnvironmentKeyVersion, std::uint64_t>> CountEntries(std::string_view name) const;
  // Forgets key versions below `keep_from`: wraps are deleted, keys wiped. Errors:
  // kFailedPrecondition while an entry is sealed under one of them, with the number.
  Status ForgetEnvironmentKeys(std::string_view name, EnvironmentKeyVersion keep_from);
  // Makes master key `version` in one member and wraps every environment key under it, each opened
  // again by that token; stores record and wraps. Done when they exist and open. What is wrapped
  // under other versions stays. Errors: kNotFound, those of device and store.
  Status MakeMasterKey(std::string_view name, std::string_view hsm, MasterKeyVersion version);
  // Makes `version` the current one. Errors: kFailedPrecondition when no member holds all wraps
  // under it; members that are away get theirs when they return.
  Status SwitchMasterKey(std::string_view name, MasterKeyVersion version);
  // Deletes the wraps under `version` and destroys its object in one member, in that order, and its
  // record last. Success when it is gone. Errors: kFailedPrecondition while it is the current one
  // or the only one under which that member holds something.
  Status RetireMasterKey(std::string_view name, std::string_view hsm, MasterKeyVersion version);

  // --- recovery: environments_recovery.cpp ---
  // Splits every key of the environment among `recipients` and every later one too; absent: nobody
  // may recover it any more. Errors: kNotFound, kInvalidArgument, kUnavailable when sealed, store
  // errors.
  Status SetRecovery(std::string_view name, const std::optional<RecoveryRecipients>& recipients);
  // Errors: kNotFound, kUnavailable while `sys` is sealed, kCorrupted, store errors.
  Result<RecoveryStatus> ReadRecovery(std::string_view name) const;
  // How many holders can open it together; 0: nobody can without an HSM. Errors: as ReadRecovery.
  Result<std::size_t> CountRecoveryHolders(std::string_view name) const;

  // Seals one environment until Unseal; the HSM's return does not open it. Not kept over a restart.
  // Errors: kNotFound "no such environment".
  Status Seal(std::string_view name, std::string reason);
  // Opens it again, by any member. Errors: kNotFound, those of device and store.
  Status Unseal(std::string_view name);

  // `sys` first, then by name.
  [[nodiscard]] std::vector<EnvironmentStatus> Statuses() const;
  [[nodiscard]] HsmRegistry& hsms() const;
  // The members of an environment's group, in the order in which they are asked now; empty for an
  // unknown name. `name` may be "sys".
  [[nodiscard]] std::vector<std::string> MembersOf(std::string_view name) const;
  [[nodiscard]] HsmRandomness& hsm_randomness() const;

 private:
  struct Impl;
  explicit Environments(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kms
