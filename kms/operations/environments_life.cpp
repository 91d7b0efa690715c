// SPDX-License-Identifier: Apache-2.0
// Creating, tuning and deleting environments. Each step is recorded before the next one begins, so
// that whatever was interrupted goes on where it stood.
#include <array>
#include <mutex>
#include <utility>

#include "kms/base/random.h"
#include "kms/operations/environments_impl.h"
#include "kms/operations/wrapping_key.h"

namespace kms {

namespace {

constexpr std::size_t kErasuresPerCommit = 500;
constexpr int kMaxUnknownOutcomes = 3;

std::string NewAccessor() {
  std::array<std::uint8_t, 4> random{};
  FillRandom(random);
  return "transit_" + HexEncode(random);
}

Error ProtectedError(const std::string& name) {
  return FailedPrecondition("environment " + name +
                            " is protected: tune it with options {\"protected\": \"false\"} (sys/"
                            "mounts/" +
                            name + "/tune) before deleting it");
}

Result<SealedMutation> Put(std::string path, const Bytes& encoded, Revision expected) {
  return SealedMutation{.path = std::move(path),
                        .value = KMS_TRY(SecretBytes::CopyOf(encoded)),
                        .expected_revision = expected};
}

SealedMutation Drop(std::string path) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = std::nullopt};
}

// A wrapping key that is being made would be left in the HSM: it is waited for, and no other is
// begun once the environment is sealed. `environment` may be none.
Result<std::unique_lock<std::timed_mutex>> AwaitWrappingKey(Environment* environment,
                                                            std::chrono::milliseconds timeout) {
  if (environment == nullptr) {
    return std::unique_lock<std::timed_mutex>{};
  }
  std::unique_lock lock(environment->wrapping_key_mutex(), timeout);
  if (!lock.owns_lock()) {
    return Unavailable("the wrapping key of the environment is being made; retry later");
  }
  return lock;
}

}  // namespace

Status Environments::Impl::CommitAndSettle(const std::vector<Mutation>& mutations,
                                           const std::string& path,
                                           const std::optional<Bytes>& wanted) {
  const Result<Revision> committed = store.Commit(mutations);
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const auto reread = sys->environment()->store().Get(path);
  if (!reread.has_value()) {
    return committed.error();
  }
  const std::optional<OpenedEntry>& entry = *reread;
  const bool done = entry.has_value() == wanted.has_value() &&
                    (!entry || EqualInConstantTime(entry->value.View(), *wanted));
  return done ? Ok() : Unavailable("storage failed, nothing was changed", committed.error().detail);
}

Status Environments::Impl::WriteRecord(const std::string& path, const Bytes& encoded,
                                       Revision expected) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(KMS_TRY(Put(path, encoded, expected)));
  const std::vector<Mutation> sealed = KMS_TRY(sys->environment()->store().Seal(mutations));
  return CommitAndSettle(sealed, path, encoded);
}

// ---- create -------------------------------------------------------------------------------------

Result<std::shared_ptr<Environment>> Environments::Create(const EnvironmentName& name,
                                                          const CreateEnvironmentRequest& request) {
  const ScopedLock life(impl_->life_mutex);
  KMS_TRY(impl_->CheckFree(name.text()));
  const auto stored = KMS_TRY(impl_->ReadRecord<EnvironmentRecord>(EnvironmentPath(name.text())));
  if (stored && stored->record.stage == EnvironmentStage::kActive) {
    // An earlier creation was stored but could not be confirmed then.
    KMS_TRY(impl_->OpenOne(EnvironmentPath(name.text())));
    return Find(name.text());
  }
  if (stored) {
    KMS_TRY(impl_->FinishDeletion(stored->record));
  }
  const PendingEnvironment pending = KMS_TRY(impl_->ReadOrMakePending(name.text()));
  return impl_->FinishCreation(name, request.settings, pending);
}

Result<PendingEnvironment> Environments::Impl::ReadOrMakePending(const std::string& name) {
  const auto stored = KMS_TRY(ReadRecord<PendingEnvironment>(PendingPath(name)));
  if (stored) {
    return stored->record;
  }
  const PendingEnvironment pending{.environment_id = Uuid::Random(),
                                   .master_key_id = Uuid::Random()};
  KMS_TRY(WriteRecord(PendingPath(name), pending.Encode(), 0));
  return pending;
}

Result<std::shared_ptr<Environment>> Environments::Impl::FinishCreation(
    const EnvironmentName& name, const EnvironmentSettings& settings,
    const PendingEnvironment& pending) {
  const MasterKeyRecord master = KMS_TRY(device.GenerateMasterKey(
      pending.master_key_id, 1, "kms/" + name.text() + "/1", HsmDeadline()));
  const Uuid& id = pending.environment_id;
  internal::FreshEnvironmentKey fresh =
      KMS_TRY(internal::MakeEnvironmentKey(device, clock, options.hsm_timeout, master, id));

  EnvironmentRecord record;
  record.identity = {.id = id,
                     .name = name.text(),
                     .accessor = NewAccessor(),
                     .created_unix_seconds = ToUnixSeconds(clock.Now())};
  record.settings = settings;
  const Bytes encoded = record.Encode();
  const std::string path = EnvironmentPath(name.text());
  std::vector<SealedMutation> entries;
  entries.push_back(KMS_TRY(Put(path, encoded, 0)));
  entries.push_back(Drop(PendingPath(name.text())));
  std::vector<Mutation> mutations = KMS_TRY(sys->environment()->store().Seal(entries));
  mutations.push_back(
      {.path = internal::MasterPath(id), .value = master.Encode(), .expected_revision = 0});
  mutations.push_back({.path = internal::WrappedPath(id, 1),
                       .value = fresh.wrapped.Encode(),
                       .expected_revision = 0});
  KMS_TRY(CommitAndSettle(mutations, path, encoded));

  const SlotHandle slot = MakeSlot(record.identity, record.settings);
  internal::EnvironmentMaterial material{.master = master, .wrapped = {}};
  material.wrapped.emplace(1, std::move(fresh.wrapped));
  KMS_TRY(slot->Adopt(std::move(material), 1, std::move(fresh.key)));
  AddSlot(slot);
  return slot->environment();
}

// ---- tune ---------------------------------------------------------------------------------------

Result<EnvironmentSettings> Environments::Tune(const EnvironmentName& name,
                                               const SettingsChange& change) {
  const ScopedLock life(impl_->life_mutex);
  const std::string path = EnvironmentPath(name.text());
  const Impl::SlotHandle slot = impl_->FindSlot(name.text());
  auto stored = KMS_TRY(impl_->ReadRecord<EnvironmentRecord>(path));
  if (slot == nullptr || !stored) {
    return NotFound("no such environment");
  }
  EnvironmentSettings& settings = stored->record.settings;
  KMS_TRY(change(settings));
  KMS_TRY(impl_->WriteRecord(path, stored->record.Encode(), stored->revision));
  slot->environment()->ReplaceSettings(settings);
  return settings;
}

// ---- delete -------------------------------------------------------------------------------------

Status Environments::Delete(const EnvironmentName& name) {
  const ScopedLock life(impl_->life_mutex);
  const std::string path = EnvironmentPath(name.text());
  auto stored = KMS_TRY(impl_->ReadRecord<EnvironmentRecord>(path));
  if (!stored) {
    return impl_->DropPending(name.text());
  }
  const std::shared_ptr<Environment> live = Find(name.text());
  const auto nothing_is_made = KMS_TRY(AwaitWrappingKey(live.get(), impl_->options.hsm_timeout));
  if (stored->record.stage == EnvironmentStage::kActive) {
    if (stored->record.settings.is_protected) {
      return ProtectedError(name.text());
    }
    stored->record.stage = EnvironmentStage::kDeleting;
    KMS_TRY(impl_->WriteRecord(path, stored->record.Encode(), stored->revision));
  }
  if (const Impl::SlotHandle slot = impl_->TakeSlot(name.text()); slot != nullptr) {
    slot->HoldSealed("the environment is being deleted");
  }
  return impl_->FinishDeletion(stored->record);
}

// The wraps go first: from then on nothing of the environment can be read by anyone.
Status Environments::Impl::FinishDeletion(const EnvironmentRecord& record) {
  const Uuid& id = record.identity.id;
  KMS_TRY(DeleteAll(internal::WrappedPrefix(id)));
  KMS_TRY(DeleteAll("e/" + id.ToString() + "/"));
  const std::optional<StoredValue> master = KMS_TRY(store.Get(internal::MasterPath(id)));
  if (master) {
    const MasterKeyRecord master_key = KMS_TRY(MasterKeyRecord::Decode(master->value));
    KMS_TRY(device.DestroyMasterKey(master_key, HsmDeadline()));
  }
  KMS_TRY(device.DestroyImportKey(WrappingKeyId(id), HsmDeadline()));
  const std::string path = EnvironmentPath(record.identity.name);
  std::vector<SealedMutation> entries;
  entries.push_back(Drop(path));
  std::vector<Mutation> mutations = KMS_TRY(sys->environment()->store().Seal(entries));
  mutations.push_back({.path = internal::MasterPath(id),
                       .value = std::nullopt,
                       .expected_revision = std::nullopt});
  return CommitAndSettle(mutations, path, std::nullopt);
}

Status Environments::Impl::DeleteAll(const std::string& prefix) {
  int unknown_outcomes = 0;
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(store.List(prefix, {}, kErasuresPerCommit));
    if (page.empty()) {
      return Ok();
    }
    std::vector<Mutation> mutations;
    for (const ListedEntry& entry : page) {
      mutations.push_back(
          {.path = entry.path, .value = std::nullopt, .expected_revision = std::nullopt});
    }
    const Result<Revision> committed = store.Commit(mutations);
    // What the next page shows is true whatever became of this commit.
    if (!committed.has_value() && (committed.error().code != ErrorCode::kOutcomeUnknown ||
                                   ++unknown_outcomes == kMaxUnknownOutcomes)) {
      return committed.error();
    }
  }
}

// A creation that never finished: its master key, if it was made, opens nothing.
Status Environments::Impl::DropPending(const std::string& name) {
  const std::string path = PendingPath(name);
  const auto pending = KMS_TRY(ReadRecord<PendingEnvironment>(path));
  if (!pending) {
    return Ok();
  }
  // Only the device can say what it made under this id, so it is asked to make it once more.
  const MasterKeyRecord master = KMS_TRY(device.GenerateMasterKey(
      pending->record.master_key_id, 1, "kms/" + name + "/1", HsmDeadline()));
  KMS_TRY(device.DestroyMasterKey(master, HsmDeadline()));
  std::vector<SealedMutation> entries;
  entries.push_back(Drop(path));
  const std::vector<Mutation> mutations = KMS_TRY(sys->environment()->store().Seal(entries));
  return CommitAndSettle(mutations, path, std::nullopt);
}

}  // namespace kms
