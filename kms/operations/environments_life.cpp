// SPDX-License-Identifier: Apache-2.0
// Creating, tuning and deleting environments. Each step is recorded before the next one begins, so
// that whatever was interrupted goes on where it stood.
#include <algorithm>
#include <array>
#include <iterator>
#include <mutex>
#include <tuple>
#include <utility>

#include "kms/base/random.h"
#include "kms/operations/environments_impl.h"
#include "kms/operations/hsm_events.h"
#include "kms/operations/resident_census.h"
#include "kms/operations/wrapping_key.h"
#include "kms/recovery/recipients.h"

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
  const SealedStore::Sealing sealing = sys->environment()->store().BeginSealing();
  const std::vector<Mutation> sealed = KMS_TRY(sys->environment()->store().Seal(mutations));
  return CommitAndSettle(sealed, path, encoded);
}

// ---- create -------------------------------------------------------------------------------------

Result<std::shared_ptr<Environment>> Environments::Create(const EnvironmentName& name,
                                                          const CreateEnvironmentRequest& request) {
  if (request.recovery) {
    KMS_TRY(request.recovery->Check());
  }
  const Impl::NameTurn turn = KMS_TRY(impl_->TakeTurn(name.text()));
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
  const PendingEnvironment pending = KMS_TRY(impl_->ReadOrMakePending(name.text(), request));
  return impl_->FinishCreation(name, request, pending);
}

Result<std::vector<std::string>> Environments::Impl::ChooseHsms(
    const CreateEnvironmentRequest& request) const {
  std::vector<std::string> chosen = request.hsms;
  if (chosen.empty()) {
    std::vector<GroupMember> members = sys->material()->group.members;
    std::ranges::sort(members, {},
                      [](const GroupMember& one) { return std::tuple(one.order, one.hsm); });
    std::ranges::transform(members, std::back_inserter(chosen), &GroupMember::hsm);
  }
  for (const std::string& hsm : chosen) {
    if (!request.hsms.empty() && hsms.Find(hsm) == nullptr) {
      return InvalidArgument("there is no HSM \"" + hsm + "\"");
    }
    if (std::ranges::count(chosen, hsm) > 1) {
      return InvalidArgument("HSM \"" + hsm + "\" is named twice");
    }
  }
  return chosen;
}

Result<PendingEnvironment> Environments::Impl::ReadOrMakePending(
    const std::string& name, const CreateEnvironmentRequest& request) {
  auto stored = KMS_TRY(ReadRecord<PendingEnvironment>(PendingPath(name)));
  if (stored && (request.hsms.empty() || request.hsms == stored->record.hsms)) {
    return stored->record;
  }
  std::vector<std::string> chosen = KMS_TRY(ChooseHsms(request));
  if (stored) {
    KMS_TRY(DropPending(name));
  }
  PendingEnvironment pending{.environment_id = Uuid::Random(),
                             .master_key_id = Uuid::Random(),
                             .hsms = std::move(chosen)};
  KMS_TRY(WriteRecord(PendingPath(name), pending.Encode(), 0));
  return pending;
}

Result<std::shared_ptr<Environment>> Environments::Impl::FinishCreation(
    const EnvironmentName& name, const CreateEnvironmentRequest& request,
    const PendingEnvironment& pending) {
  const Uuid& id = pending.environment_id;
  internal::NewGroup made =
      KMS_TRY(internal::MakeGroup(Access(), {.environment = name.text(),
                                             .environment_id = id,
                                             .master_key_id = pending.master_key_id,
                                             .hsms = pending.hsms}));
  EnvironmentRecord record;
  record.identity = {.id = id,
                     .name = name.text(),
                     .accessor = NewAccessor(),
                     .created_unix_seconds = ToUnixSeconds(clock.Now())};
  record.settings = request.settings;
  const Bytes encoded = record.Encode();
  const std::string path = EnvironmentPath(name.text());
  std::vector<SealedMutation> entries;
  entries.push_back(KMS_TRY(Put(path, encoded, 0)));
  entries.push_back(Drop(PendingPath(name.text())));
  if (request.recovery) {
    entries.push_back(KMS_TRY(StoreRecipients(id, *request.recovery)));
    made.mutations.push_back(
        KMS_TRY(SplitForRecovery({.environment_id = id, .environment = name.text(), .version = 1},
                                 made.keys.at(1), *request.recovery)));
  }
  const SealedStore::Sealing sealing = sys->environment()->store().BeginSealing();
  std::vector<Mutation> mutations = KMS_TRY(sys->environment()->store().Seal(entries));
  std::ranges::move(made.mutations, std::back_inserter(mutations));
  KMS_TRY(CommitAndSettle(mutations, path, encoded));

  const SlotHandle slot = MakeSlot(record.identity, record.settings);
  KMS_TRY(slot->Adopt(std::move(made.keys)));
  AddSlot(slot);
  return slot->environment();
}

// ---- tune ---------------------------------------------------------------------------------------

Result<EnvironmentSettings> Environments::Tune(const EnvironmentName& name,
                                               const SettingsChange& change) {
  const Impl::NameTurn turn = KMS_TRY(impl_->TakeTurn(name.text()));
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
  const Impl::NameTurn turn = KMS_TRY(impl_->TakeTurn(name.text()));
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
  KMS_TRY(DeleteAll(WrappedPrefix(id)));
  KMS_TRY(DestroyEveryResidentKey(store, hsms, clock, record.identity));
  KMS_TRY(DeleteAll("e/" + id.ToString() + "/"));
  KMS_TRY(DestroyKeys(record));
  KMS_TRY(DeleteAll(MasterPrefix(id)));
  KMS_TRY(DeleteAll(RecoveryPrefix(id)));
  KMS_TRY(DeleteAll(sys->environment()->store().prefix() + LostHsmPrefix(id)));
  const std::string path = EnvironmentPath(record.identity.name);
  std::vector<SealedMutation> entries;
  entries.push_back(Drop(path));
  entries.push_back(Drop(RecipientsPath(id)));
  const SealedStore::Sealing sealing = sys->environment()->store().BeginSealing();
  std::vector<Mutation> mutations = KMS_TRY(sys->environment()->store().Seal(entries));
  for (std::string outside : {"master/" + id.ToString(), GroupPath(id)}) {
    mutations.push_back(
        {.path = std::move(outside), .value = std::nullopt, .expected_revision = std::nullopt});
  }
  return CommitAndSettle(mutations, path, std::nullopt);
}

// A token that left the group keeps what nobody can ask it to destroy; a member must answer.
Status Environments::Impl::DestroyKeys(const EnvironmentRecord& record) {
  const Uuid& id = record.identity.id;
  RecordedMasters recorded = KMS_TRY(ReadMasterKeys(store, id));
  const std::optional<StoredValue> stored = KMS_TRY(store.Get(GroupPath(id)));
  KeyGroup group;
  if (stored) {
    group = KMS_TRY(KeyGroup::Decode(stored->value));
  } else if (recorded.contains(std::string(kDefaultHsm))) {
    group.members.push_back({.hsm = std::string(kDefaultHsm)});  // of an earlier release
  }
  for (const GroupMember& member : group.members) {
    recorded.try_emplace(member.hsm);  // its import key, and what was made but never recorded
  }
  for (const auto& [hsm, masters] : recorded) {
    const Status destroyed = DestroyKeysIn(hsm, record.identity, masters, group.LossesOf(hsm));
    if (!destroyed.has_value() && group.Find(hsm) != nullptr) {
      Error error = destroyed.error();
      error.public_message = "HSM " + hsm + " still holds keys of environment " +
                             record.identity.name + ": " + error.public_message +
                             "; the deletion goes on when it answers, or when that HSM was taken "
                             "out of the environment (kmsctl hsm remove, with --lost when it will "
                             "never answer again)";
      return error;
    }
    if (!destroyed.has_value()) {
      internal::RecordHsmEvent(options, clock,
                               {.operation = "hsm-leave",
                                .environment = record.identity.name,
                                .hsm = hsm,
                                .problem = "master keys of the deleted environment are left in it: " +
                                           destroyed.error().public_message});
    }
  }
  return Ok();
}

Status Environments::Impl::DestroyKeysIn(
    const std::string& hsm, const EnvironmentIdentity& identity,
    const std::map<MasterKeyVersion, MasterKeyRecord>& masters, std::uint32_t losses) {
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(Access().Find(hsm));
  if (masters.empty()) {
    KMS_TRY(DestroyUnrecorded(*device, identity.name, DeriveMasterKeyId(identity.id, hsm, 1)));
  }
  for (const auto& [version, stored] : masters) {
    const MasterKeyRecord master =
        KMS_TRY(internal::RecordToDestroy({.environment = identity.name,
                                           .environment_id = identity.id,
                                           .hsm = hsm,
                                           .version = version,
                                           .losses = losses},
                                          stored));
    KMS_TRY(device->DestroyMasterKey(master, Access().NextDeadline(*device)));
  }
  return device->DestroyImportKey(WrappingKeyId(identity.id), WrappingKeyLabel(identity.name),
                                  Access().NextDeadline(*device));
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
  KMS_TRY(DropKeysOfPending(name, pending->record));
  std::vector<SealedMutation> entries;
  entries.push_back(Drop(path));
  const SealedStore::Sealing sealing = sys->environment()->store().BeginSealing();
  const std::vector<Mutation> mutations = KMS_TRY(sys->environment()->store().Seal(entries));
  return CommitAndSettle(mutations, path, std::nullopt);
}

Status Environments::Impl::DropKeysOfPending(const std::string& name,
                                             const PendingEnvironment& pending) {
  for (const std::string& hsm : pending.hsms) {
    const std::shared_ptr<GuardedDevice> device = KMS_TRY(Access().Find(hsm));
    const Uuid id = pending.hsms.size() == 1
                        ? pending.master_key_id
                        : DeriveMasterKeyId(pending.environment_id, hsm, 1);
    KMS_TRY(DestroyUnrecorded(*device, name, id));
  }
  return Ok();
}

// Only the device can say what it made under this id, so it is asked to make it once more.
Status Environments::Impl::DestroyUnrecorded(GuardedDevice& device, const std::string& name,
                                             const Uuid& id) const {
  const MasterKeyRecord master = KMS_TRY(device.GenerateMasterKey(
      id, 1, internal::MasterKeyLabel(name, 1), Access().NextDeadline(device)));
  return device.DestroyMasterKey(master, Access().NextDeadline(device));
}

}  // namespace kms
