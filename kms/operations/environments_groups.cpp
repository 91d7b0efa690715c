// SPDX-License-Identifier: Apache-2.0
// The tokens that open each environment.
#include <utility>

#include "kms/operations/environments_impl.h"
#include "kms/operations/resident_census.h"
#include "kms/recovery/recipients.h"

namespace kms {

Result<GroupMaterial> Environments::ReadKeys(std::string_view name) const {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  return slot->ReadStored();
}

std::vector<std::string> Environments::MembersOf(std::string_view name) const {
  const Result<Impl::SlotHandle> slot = impl_->FindAnySlot(name);
  return slot.has_value() ? (*slot)->Ranked() : std::vector<std::string>{};
}

Status Environments::JoinHsm(std::string_view name, const GroupMember& member) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  if (impl_->hsms.Find(member.hsm) == nullptr) {
    return NotFound("no such HSM");
  }
  if (member.weight == 0 || member.weight > kMaxMemberWeight) {
    return InvalidArgument("the weight of an HSM is from 1 to 1000");
  }
  return slot->Join(member);
}

Status Environments::LeaveHsm(std::string_view name, std::string_view hsm, bool destroy) {
  const Result<Impl::SlotHandle> slot = impl_->FindAnySlot(name);
  if (!slot.has_value()) {
    return impl_->LeaveDeleted(std::string(name), hsm);
  }
  KMS_TRY(CheckNoKeysLiveIn(impl_->store, *(*slot)->environment(), hsm));
  return (*slot)->Leave(hsm, destroy);
}

// A deletion that waits for a token that will never answer again goes on without it.
Status Environments::Impl::LeaveDeleted(const std::string& name, std::string_view hsm) {
  const NameTurn turn = KMS_TRY(TakeTurn(name));
  const auto stored = KMS_TRY(ReadRecord<EnvironmentRecord>(EnvironmentPath(name)));
  if (!stored || stored->record.stage != EnvironmentStage::kDeleting) {
    return NotFound("no such environment");
  }
  const std::string path = GroupPath(stored->record.identity.id);
  const std::optional<StoredValue> found = KMS_TRY(store.Get(path));
  if (!found) {
    return Ok();
  }
  KeyGroup group = KMS_TRY(KeyGroup::Decode(found->value));
  std::erase_if(group.members, [hsm](const GroupMember& one) { return one.hsm == hsm; });
  Mutation mutation{.path = path, .value = std::nullopt, .expected_revision = found->revision};
  if (!group.members.empty()) {
    mutation.value = group.Encode();
  }
  KMS_TRY(store.Commit({mutation}));
  return Ok();
}

Status Environments::AddEnvironmentKey(std::string_view name, EnvironmentKeyVersion version) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  const EnvironmentIdentity& identity = slot->environment()->identity();
  const auto split = [&](EnvironmentKeyVersion added,
                         const SecretBytes& key) -> Result<std::vector<Mutation>> {
    SealedStore& sys = impl_->sys->environment()->store();
    const auto recipients = KMS_TRY(ReadRecipients(sys, identity.id));
    std::vector<Mutation> shares;
    if (recipients) {
      shares.push_back(KMS_TRY(SplitForRecovery(
          {.environment_id = identity.id, .environment = identity.name, .version = added}, key,
          *recipients)));
    }
    return shares;
  };
  return slot->AddEnvironmentKey(version, split);
}

Status Environments::MakeMasterKey(std::string_view name, std::string_view hsm,
                                   MasterKeyVersion version) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  return slot->MakeMasterKey(hsm, version);
}

}  // namespace kms
