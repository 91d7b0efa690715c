// SPDX-License-Identifier: Apache-2.0
// The parts of Environments: the table of what is live, and the life of an environment. Private.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

  Impl(Store& its_store, MasterKeyDevice& its_device, const Clock& its_clock,
       EnvironmentsOptions its_options)
      : store(its_store),
        device(its_device),
        clock(its_clock),
        options(its_options),
        hsm_randomness(its_device, its_clock, its_options.hsm_timeout) {}

  // --- opening: environments_open.cpp ---
  // Reads where the store begins; begins it when it is new.
  Result<RootRecord> ReadOrBeginRoot(Revision& revision);
  // Makes master key and environment key of `sys`; the same ones however often it is interrupted.
  Status FinishRoot(RootRecord root, Revision revision);
  Status OpenSys(const RootRecord& root);
  Status OpenListed();
  // Errors: those of the store only; what cannot be opened starts sealed.
  Status OpenOne(const std::string& path);

  // --- life: environments_life.cpp; the caller holds life_mutex ---
  Result<PendingEnvironment> ReadOrMakePending(const std::string& name);
  Result<std::shared_ptr<Environment>> FinishCreation(const EnvironmentName& name,
                                                      const EnvironmentSettings& settings,
                                                      const PendingEnvironment& pending);
  Status DropPending(const std::string& name);
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
  SlotHandle MakeSlot(EnvironmentIdentity identity, EnvironmentSettings settings) const;
  void AddSlot(const SlotHandle& slot);
  SlotHandle TakeSlot(std::string_view name);
  std::vector<SlotHandle> AllSlots() const;  // `sys` first
  void SealExpired(const Error& error) const;
  // Errors: kAlreadyExists, kInvalidArgument for nesting.
  Status CheckFree(const std::string& name) const;

  Deadline HsmDeadline() const { return clock.SteadyNow() + options.hsm_timeout; }

  // Constant after construction, with synchronization of their own.
  Store& store;
  MasterKeyDevice& device;
  const Clock& clock;
  const EnvironmentsOptions options;
  HsmRandomness hsm_randomness;
  SlotHandle sys;  // set once, by Open

  // One creation, tuning, deletion or unsealing at a time; held over HSM calls.
  Mutex life_mutex;

  mutable SharedMutex table_mutex;
  std::map<std::string, SlotHandle, std::less<>> table KMS_GUARDED_BY(table_mutex);
};

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
