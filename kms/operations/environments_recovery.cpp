// SPDX-License-Identifier: Apache-2.0
// Who may open an environment without any HSM: kms/recovery.
#include <algorithm>
#include <set>
#include <utility>

#include "kms/operations/environments_impl.h"
#include "kms/recovery/recipients.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {


// Deletes every split below the prefix but those that are written now.
Status DropOtherSplits(Store& store, const std::string& prefix, std::vector<Mutation>& mutations) {
  std::set<std::string> written;
  for (const Mutation& mutation : mutations) {
    written.insert(mutation.path);
  }
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, prefix))) {
    if (!written.contains(entry.path)) {
      mutations.push_back(
          {.path = entry.path, .value = std::nullopt, .expected_revision = std::nullopt});
    }
  }
  return Ok();
}

Result<std::vector<Mutation>> SplitAll(const internal::EnvironmentSlot& slot,
                                       const GroupMaterial& material,
                                       const RecoveryRecipients& recipients) {
  const EnvironmentIdentity& identity = slot.environment()->identity();
  std::vector<Mutation> mutations;
  for (const EnvironmentKeyVersion version : material.Versions()) {
    const SecretBytes key = KMS_TRY(slot.KeyOf(version));
    mutations.push_back(KMS_TRY(SplitForRecovery(
        {.environment_id = identity.id, .environment = identity.name, .version = version}, key,
        recipients)));
  }
  return mutations;
}

}  // namespace

// The turn at the keys keeps a version from being added between reading them and storing shares.
Status Environments::SetRecovery(std::string_view name,
                                 const std::optional<RecoveryRecipients>& recipients) {
  if (recipients) {
    KMS_TRY(recipients->Check());
  }
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  const internal::KeyWork work = KMS_TRY(slot->BeginKeyWork());
  const Uuid& id = slot->environment()->identity().id;
  std::vector<Mutation> mutations;
  std::vector<SealedMutation> entries;
  std::optional<Bytes> wanted;
  if (recipients) {
    mutations = KMS_TRY(SplitAll(*slot, *work.material, *recipients));
    entries.push_back(KMS_TRY(StoreRecipients(id, *recipients)));
    wanted = recipients->Encode();
  } else {
    entries.push_back({.path = RecipientsPath(id),
                       .value = std::nullopt,
                       .expected_revision = std::nullopt});
  }
  KMS_TRY(DropOtherSplits(impl_->store, RecoveryPrefix(id), mutations));
  SealedStore& sys = impl_->sys->environment()->store();
  const SealedStore::Sealing sealing = sys.BeginSealing();
  const std::vector<Mutation> sealed = KMS_TRY(sys.Seal(entries));
  mutations.insert(mutations.end(), sealed.begin(), sealed.end());
  return impl_->CommitAndSettle(mutations, RecipientsPath(id), wanted);
}

Result<RecoveryStatus> Environments::ReadRecovery(std::string_view name) const {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  const Uuid& id = slot->environment()->identity().id;
  RecoveryStatus status;
  status.recipients = KMS_TRY(ReadRecipients(impl_->sys->environment()->store(), id));
  const GroupMaterial material = KMS_TRY(slot->ReadStored());
  status.versions = material.Versions();
  for (const EnvironmentKeyVersion version : status.versions) {
    const auto split = KMS_TRY(impl_->store.Get(RecoveryPath(id, version)));
    if (split) {
      status.split_versions.push_back(version);
    }
  }
  return status;
}

Result<std::size_t> Environments::CountRecoveryHolders(std::string_view name) const {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  const auto recipients = KMS_TRY(ReadRecipients(impl_->sys->environment()->store(),
                                                 slot->environment()->identity().id));
  return recipients ? recipients->recipients.size() : 0;
}

}  // namespace kms
