// SPDX-License-Identifier: Apache-2.0
// The parts of Environments: the table of what is live, and the life of an environment. Private.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/base/mutex.h"
#include "kms/operations/environment_record.h"
#include "kms/master/hsm_randomness.h"
#include "kms/operations/environment_slot.h"
#include "kms/operations/environments.h"

namespace kms {

struct Environments::Impl {
  using Slot = internal::EnvironmentSlot;
  using SlotHandle = std::shared_ptr<Slot>;

  Impl(Store& its_store, HsmRegistry& its_hsms, const Clock& its_clock,
       EnvironmentsOptions its_options)
      : store(its_store),
        hsms(its_hsms),
        clock(its_clock),
        options(std::move(its_options)),
        hsm_randomness([this](std::size_t size, Deadline deadline) {
          return RandomOfAny(size, deadline);
        }, its_clock, options.hsm_timeout) {}

  // --- opening: environments_open.cpp ---
  // Reads where the store begins; begins it when it is new.
  Result<RootRecord> ReadOrBeginRoot(Revision& revision);
  // Makes master key and environment key of `sys`; the same ones however often it is interrupted.
  Status FinishRoot(RootRecord root, Revision revision, const std::vector<std::string>& first);
  Status OpenSys(const RootRecord& root);
  Status OpenListed();
  // Several at a time: each waits for an HSM most of the time. Errors: as OpenOne, of any of them.
  Status OpenAll(const std::vector<std::string>& paths);
  // Errors: those of the store only; what cannot be opened starts sealed.
  Status OpenOne(const std::string& path);

  // --- life: environments_life.cpp; the caller has the turn at the name ---
  // The tokens of a new environment. Errors: kInvalidArgument naming one that there is not.
  Result<std::vector<std::string>> ChooseHsms(const CreateEnvironmentRequest& request) const;
  // What an interrupted creation began goes on, unless other tokens are asked for now.
  Result<PendingEnvironment> ReadOrMakePending(const std::string& name,
                                               const CreateEnvironmentRequest& request);
  Result<std::shared_ptr<Environment>> FinishCreation(const EnvironmentName& name,
                                                      const CreateEnvironmentRequest& request,
                                                      const PendingEnvironment& pending);
  Status DropPending(const std::string& name);
  Status DropKeysOfPending(const std::string& name, const PendingEnvironment& pending);
  // Errors: kNotFound unless the environment is being deleted.
  Status LeaveDeleted(const std::string& name, std::string_view hsm);
  // The same when nothing in the token can be destroyed any more.
  Status LoseDeleted(const std::string& name, std::string_view hsm,
                     const LossDeclaration& declaration);
  void TellLoss(const std::string& name, const LostHsm& lost) const;
  // Destroys the keys that an environment has in its tokens.
  Status DestroyKeys(const EnvironmentRecord& record);
  Status DestroyKeysIn(const std::string& hsm, const EnvironmentIdentity& identity,
                       const std::map<MasterKeyVersion, MasterKeyRecord>& masters,
                       std::uint32_t losses);
  Status DestroyUnrecorded(GuardedDevice& device, const std::string& name, const Uuid& id) const;
  // Deletes what belongs to an environment that is marked as being deleted.
  Status FinishDeletion(const EnvironmentRecord& record);
  Status DeleteAll(const std::string& prefix);

  // --- entries of `sys` ---
  template <typename Record>
  struct Stored {
    Record record;
    Revision revision = 0;
  };
  template <typename Record>
  Result<std::optional<Stored<Record>>> ReadRecord(const std::string& path);
  // Commits; when the outcome is unknown, succeeds if `path` in `sys` is what the commit makes it.
  Status CommitAndSettle(const std::vector<Mutation>& mutations, const std::string& path,
                         const std::optional<Bytes>& wanted);
  // One entry of `sys` alone.
  Status WriteRecord(const std::string& path, const Bytes& encoded, Revision expected);

  // --- the table ---
  SlotHandle FindSlot(std::string_view name) const;
  // `sys` too. Errors: kNotFound "no such environment".
  Result<SlotHandle> FindAnySlot(std::string_view name) const;
  SlotHandle MakeSlot(EnvironmentIdentity identity, EnvironmentSettings settings) const;
  void AddSlot(const SlotHandle& slot);
  SlotHandle TakeSlot(std::string_view name);
  std::vector<SlotHandle> AllSlots() const;  // `sys` first
  // Errors: kAlreadyExists, kInvalidArgument for nesting.
  Status CheckFree(const std::string& name) const;

  // One creation, tuning or deletion of a name at a time, held over HSM calls: others wait, those of
  // other names do not. Errors: kUnavailable when it takes too long.
  class NameTurn {
   public:
    NameTurn(Impl& impl, std::string name) : impl_(&impl), name_(std::move(name)) {}
    NameTurn(NameTurn&& other) noexcept
        : impl_(std::exchange(other.impl_, nullptr)), name_(std::move(other.name_)) {}
    NameTurn(const NameTurn&) = delete;
    NameTurn& operator=(const NameTurn&) = delete;
    NameTurn& operator=(NameTurn&&) = delete;
    ~NameTurn();

   private:
    Impl* impl_;
    std::string name_;
  };
  Result<NameTurn> TakeTurn(const std::string& name);

  // Of whichever token of `sys` answers.
  Result<SecretBytes> RandomOfAny(std::size_t size, Deadline deadline) const;
  internal::HsmAccess Access() const {
    return {.hsms = hsms, .clock = clock, .timeout = options.hsm_timeout};
  }

  // Constant after construction, with synchronization of their own.
  Store& store;
  HsmRegistry& hsms;
  const Clock& clock;
  const EnvironmentsOptions options;
  HsmRandomness hsm_randomness;
  SlotHandle sys;  // set once, by Open

  // Never held over calls of store or HSM.
  Mutex life_mutex;
  std::condition_variable_any turn_ended;
  std::set<std::string, std::less<>> busy_names KMS_GUARDED_BY(life_mutex);

  mutable SharedMutex table_mutex;
  std::map<std::string, SlotHandle, std::less<>> table KMS_GUARDED_BY(table_mutex);
};

inline constexpr std::string_view kSysName = "sys";

std::string EnvironmentPath(std::string_view name);
std::string PendingPath(std::string_view name);

template <typename Record>
Result<std::optional<Environments::Impl::Stored<Record>>> Environments::Impl::ReadRecord(
    const std::string& path) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys->environment()->store().Get(path));
  if (!entry) {
    return std::optional<Stored<Record>>{};
  }
  return std::optional<Stored<Record>>{
      {.record = KMS_TRY(Record::Decode(entry->value.View())), .revision = entry->revision}};
}

}  // namespace kms
