// SPDX-License-Identifier: Apache-2.0
// EnvironmentSlot: one environment with the tokens that open it, their proofs, and the work on its
// keys. Private to Environments.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/environment_key.h"
#include "kms/master/key_group.h"
#include "kms/operations/environments.h"
#include "kms/operations/group_keys.h"
#include "kms/operations/lease_settings.h"
#include "kms/store/store.h"

namespace kms::internal {

using MaterialHandle = std::shared_ptr<const GroupMaterial>;

// One version of the environment's key, as it is to be wrapped.
struct PlainKey {
  EnvironmentKeyVersion version;
  const SecretBytes& bytes;
};

// What stores the shares of a new key; nothing for an environment without recovery.
using KeySplitter = std::function<Result<std::vector<Mutation>>(EnvironmentKeyVersion version,
                                                                const SecretBytes& key)>;

// One's turn at the keys of an environment, and what is stored of them.
struct KeyWork {
  std::unique_lock<std::timed_mutex> turn;
  MaterialHandle material;
};

// Thread rule: any thread. `mutex_` is never held over calls of store or HSM; the turn at the keys
// is, but no proof and no sealing waits for it.
class EnvironmentSlot {
 public:
  // What is given by reference must outlive it.
  EnvironmentSlot(std::shared_ptr<Environment> environment, Store& store, HsmRegistry& hsms,
                  const Clock& clock, const EnvironmentsOptions& options);

  [[nodiscard]] const std::shared_ptr<Environment>& environment() const { return environment_; }

  // --- leases: environment_slot.cpp ---
  // Reads what is stored, opens every key by whichever tokens answer and unseals the environment;
  // gives the reason for which it stays sealed otherwise. One that is held sealed stays so.
  // `first` is asked before all others and, if it holds everything, alone.
  Status Open(std::string_view first = {});
  // The same with keys that were just made and stored.
  Status Adopt(EnvironmentKeys keys);
  // One round of one token: proves the lease or opens what is sealed, and heals.
  void ProveBy(std::string_view hsm);
  // Seals an open one whose last proof is older than the grace.
  void SealIfExpired();
  // Seals it, and no proof unseals it any more until Release: for operators and for deletion.
  void HoldSealed(std::string reason);
  // Errors: as Open.
  Status Release();

  [[nodiscard]] LeaseSettings lease() const;
  [[nodiscard]] EnvironmentStatus Describe() const;
  // The members in the order in which they are to be asked now.
  [[nodiscard]] std::vector<std::string> Ranked() const;

  // --- work on its keys: environment_slot_keys.cpp ---
  // Waits for its turn and reads what is stored. Errors: kUnavailable when another's work takes too
  // long, as ReadGroupMaterial.
  Result<KeyWork> BeginKeyWork();
  // Commits `mutations` together with the group's record, unless anybody changed that since it was
  // read; settles what is unknown by reading again. Then `work` holds what is stored now.
  // Errors: kConflict, store errors; kUnavailable "nothing was changed".
  Status Commit(KeyWork& work, KeyGroup group, std::vector<Mutation> mutations);
  // Errors: kUnavailable while sealed, kCorrupted for an unknown version.
  Result<SecretBytes> KeyOf(EnvironmentKeyVersion version) const;
  // The recorded master key of `hsm`, which is in the token still, or a new one that `mutations`
  // store. A recorded one is never made again (H11). Errors: those of the device, kCorrupted when its record is damaged.
  Result<MasterKeyRecord> FindOrMakeMaster(const GroupMaterial& material, std::string_view hsm,
                                           MasterKeyVersion version,
                                           std::vector<Mutation>& mutations);
  // Errors: those of the device, with what to do.
  Status CheckMaster(GuardedDevice& device, const MasterKeyRecord& master) const;
  // One more wrap that `mutations` store. Errors: as WrapChecked.
  Status AddWrap(std::string_view hsm, const MasterKeyRecord& master, MasterKeyVersion version,
                 const PlainKey& key, std::vector<Mutation>& mutations);
  // Opens one wrap and compares it with what is known of the key. Errors: kNotFound when `hsm`
  // holds none of that version; those of the device; kCorrupted; all say what to do.
  // The wrap under the newest master key; when that one is missing in the token or another, under
  // an older one, and `newest_lost` then says what is wrong (H14).
  Result<SecretBytes> OpenWrap(const GroupMaterial& material, std::string_view hsm,
                               EnvironmentKeyVersion version,
                               std::optional<Error>* newest_lost = nullptr);
  // The wrap under that master key alone. Errors: as OpenWrap.
  Result<SecretBytes> OpenWrapUnder(const GroupMaterial& material, std::string_view hsm,
                                    EnvironmentKeyVersion version, MasterKeyVersion master);
  // What members say of themselves. Errors: kNotFound.
  [[nodiscard]] Result<MemberState> StateOf(std::string_view hsm) const;

  // What is stored now, without versions that were forgotten. Errors: as ReadGroupMaterial.
  Result<GroupMaterial> ReadStored() const;
  // Versions below were forgotten: wraps of them are refused from now on.
  void RefuseBelow(EnvironmentKeyVersion oldest);

  [[nodiscard]] const HsmAccess& access() const { return access_; }
  [[nodiscard]] Store& store() const { return store_; }
  [[nodiscard]] MaterialHandle material() const;  // as last read; nullptr when it never was

  // --- groups and versions: environment_slot_groups.cpp; see Environments ---
  Status Join(const GroupMember& member);
  Status Leave(std::string_view hsm, bool destroy);
  // `record` gives what is committed together with the loss, told which master keys stay in it.
  using LossRecorder = std::function<Result<std::vector<Mutation>>(
      const std::map<MasterKeyVersion, MasterKeyRecord>& masters)>;
  Status Lose(std::string_view hsm, const LossRecorder& record);
  Status AddEnvironmentKey(EnvironmentKeyVersion version, const KeySplitter& split);
  Status MakeMasterKey(std::string_view hsm, MasterKeyVersion version);

 private:
  // What is known of a member in this process.
  struct Member {
    MemberState state = MemberState::kUnknown;
    std::string reason;
    std::string not_healed;  // why its last healing failed
    std::optional<SteadyTime> proven;
  };

  Result<MaterialHandle> Read();
  void Remember(const MaterialHandle& material);
  Result<EnvironmentKeys> OpenKeys(const GroupMaterial& material,
                                   const std::vector<std::string>& order);
  // Adds what `hsm` opens of `versions` to `keys`.
  Status OpenBy(std::string_view hsm, const GroupMaterial& material,
                const std::vector<EnvironmentKeyVersion>& versions, EnvironmentKeys& keys,
                std::optional<Error>& newest_lost);
  Status Unseal(const MaterialHandle& material, EnvironmentKeys keys, SteadyTime proven);
  // Takes keys out that were forgotten and whose wraps are there again. Asks the tokens in `order`.
  Status RefuseForgotten(MaterialHandle& material, const std::vector<std::string>& order);
  // Says it when it is not what was said last.
  void TellOfKeys(std::string problem);
  [[nodiscard]] bool IsDue(std::string_view hsm, const GroupMaterial& material) const;
  Status ProveLatest(std::string_view hsm, const GroupMaterial& material,
                     std::optional<Error>& newest_lost);
  // Notes how a member fared; tells of one that must not be used any more.
  void Note(std::string_view hsm, const Status& outcome, SteadyTime started);
  void NoteNotHealed(std::string_view hsm, const Error& error);
  // The same of one that opens the environment by an older master key than it should.
  void NoteNewestLost(std::string_view hsm, const Error& error, SteadyTime started);
  // Gives a member what it lacks, some wraps at a time. Errors: those of device and store.
  Status Heal(std::string_view hsm, SteadyTime started);
  Status WrapEverything(const GroupMaterial& material, std::string_view hsm,
                        MasterKeyVersion version, std::vector<Mutation>& mutations);
  Result<std::vector<Mutation>> WrapByMembers(const GroupMaterial& material, const PlainKey& key);
  // Under its master keys from `oldest` on.
  Result<std::vector<Mutation>> WrapByMember(std::string_view hsm, const MemberMaterial& member,
                                             MasterKeyVersion oldest, const PlainKey& key);
  Status HoldLatest(const GroupMaterial& material, EnvironmentKeyVersion latest);
  Status AddChecks(const GroupMaterial& material, KeyGroup& group) const;
  Status CheckOthersOpenAll(const GroupMaterial& material, std::string_view hsm) const;
  // Errors: kFailedPrecondition when `hsm` answers and still has one of its master keys.
  Status CheckIsGone(std::string_view hsm, const MemberMaterial* held) const;
  Result<std::map<MasterKeyVersion, MasterKeyRecord>> MastersToDestroy(
      const GroupMaterial& material, std::string_view hsm,
      const std::map<MasterKeyVersion, MasterKeyRecord>& masters) const;
  Status DestroyMasters(KeyWork& work, std::string_view hsm,
                        const std::map<MasterKeyVersion, MasterKeyRecord>& masters);
  Status ForgetWrappingKeyIn(std::string_view hsm, const MemberMaterial* held, bool destroy);
  void Forget(std::string_view hsm);
  // Says of a sealed one why it is, unless a better reason holds it sealed.
  Status Explain(Error error);
  [[nodiscard]] std::string WhyNoneProves(const std::string& otherwise) const KMS_REQUIRES(mutex_);
  [[nodiscard]] std::vector<std::string> OrderOf(const GroupMaterial& material,
                                                 std::string_view first) const;
  void Tell(std::string_view operation, std::string_view hsm, std::string problem,
            std::int64_t items = 0, bool alarms = false) const;

  const std::shared_ptr<Environment> environment_;
  Store& store_;
  const Clock& clock_;
  const EnvironmentsOptions& options_;
  const HsmAccess access_;

  std::timed_mutex key_mutex_;  // held over HSM calls: wait with a limit

  mutable Mutex mutex_;
  MaterialHandle material_ KMS_GUARDED_BY(mutex_);
  bool is_stale_ KMS_GUARDED_BY(mutex_) = false;  // a commit may have changed what is stored
  std::map<std::string, Member, std::less<>> members_ KMS_GUARDED_BY(mutex_);
  std::optional<SteadyTime> proven_ KMS_GUARDED_BY(mutex_);  // by any member
  bool held_sealed_ KMS_GUARDED_BY(mutex_) = false;
  std::optional<LastSeal> last_seal_ KMS_GUARDED_BY(mutex_);
  EnvironmentKeyVersion oldest_ KMS_GUARDED_BY(mutex_) = 1;  // that is valid, as far as is known
  std::string told_of_keys_ KMS_GUARDED_BY(mutex_);
};

// Of `versions`, how many `hsm` has no wrap of under the current master key.
std::uint32_t MissingWraps(const GroupMaterial& material, std::string_view hsm);
// Those, or the check value of a key that an earlier release made.
bool LacksAnything(const GroupMaterial& material, std::string_view hsm);

}  // namespace kms::internal
