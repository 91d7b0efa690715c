// SPDX-License-Identifier: Apache-2.0
// Tokens that will never come back.
#include <algorithm>
#include <iterator>
#include <utility>

#include "kms/master/epoch_counter.h"
#include "kms/operations/environments_impl.h"
#include "kms/operations/hsm_events.h"
#include "kms/operations/resident_census.h"

namespace kms {

namespace {

LostHsm NewRecord(std::string_view hsm, const LossDeclaration& declaration, const Clock& clock) {
  LostHsm lost;
  lost.id = Uuid::Random();
  lost.hsm = std::string(hsm);
  lost.declaration = declaration;
  lost.declared_unix_seconds = ToUnixSeconds(clock.Now());
  return lost;
}

void AddMasters(const std::map<MasterKeyVersion, MasterKeyRecord>& masters, LostHsm& lost) {
  for (const auto& [version, master] : masters) {
    lost.master_keys.push_back({.version = version,
                                .token_label = master.token_label,
                                .token_serial = master.token_serial,
                                .id = master.id,
                                .label = master.label,
                                .made_unix_seconds = master.created_unix_seconds});
  }
}

// The record itself, and what was written to the token as its epoch: one that takes its place, even
// with its serial number, has no past.
Result<std::vector<SealedMutation>> EntriesOf(const Uuid& environment_id, const LostHsm& lost) {
  std::vector<SealedMutation> entries;
  entries.push_back({.path = LostHsmPath(environment_id, lost.id),
                     .value = KMS_TRY(SecretBytes::CopyOf(lost.Encode())),
                     .expected_revision = 0});
  entries.push_back(
      {.path = EpochPath(lost.hsm), .value = std::nullopt, .expected_revision = std::nullopt});
  return entries;
}

}  // namespace

Status Environments::LoseHsm(std::string_view name, std::string_view hsm,
                             const LossDeclaration& declaration) {
  const Result<Impl::SlotHandle> slot = impl_->FindAnySlot(name);
  if (!slot.has_value()) {
    return impl_->LoseDeleted(std::string(name), hsm, declaration);
  }
  Environment& environment = *(*slot)->environment();
  if (environment.sealed()) {
    return FailedPrecondition(
        "environment " + std::string(name) + " is sealed, and HSM " + std::string(hsm) +
        " can be declared lost to it when another HSM opens it: unseal it if an operator sealed it. "
        "If none of its HSMs will ever answer again, recover it (deploy/recovery.md), or delete it, "
        "then declare " + std::string(hsm) + " lost");
  }
  const Uuid& id = environment.identity().id;
  LostHsm lost = NewRecord(hsm, declaration, impl_->clock);
  const std::vector<SealedMutation> residents = KMS_TRY(ForgetResidentKeysIn(environment, hsm));
  lost.resident_keys = residents.size();
  SealedStore& sys = impl_->sys->environment()->store();
  const SealedStore::Sealing sealing = sys.BeginSealing();
  const auto record = [&](const std::map<MasterKeyVersion, MasterKeyRecord>& masters)
      -> Result<std::vector<Mutation>> {
    AddMasters(masters, lost);
    const std::vector<SealedMutation> entries = KMS_TRY(EntriesOf(id, lost));
    std::vector<Mutation> mutations = KMS_TRY(sys.Seal(entries));
    std::vector<Mutation> forgotten = KMS_TRY(environment.store().Seal(residents));
    std::ranges::move(forgotten, std::back_inserter(mutations));
    return mutations;
  };
  KMS_TRY((*slot)->Lose(hsm, record));
  impl_->TellLoss(environment.identity().name, lost);
  return Ok();
}

// What is left of an environment that is being deleted needs no record: nothing opens any more.
Status Environments::Impl::LoseDeleted(const std::string& name, std::string_view hsm,
                                       const LossDeclaration& declaration) {
  KMS_TRY(LeaveDeleted(name, hsm));
  const NameTurn turn = KMS_TRY(TakeTurn(name));
  const auto stored = KMS_TRY(ReadRecord<EnvironmentRecord>(EnvironmentPath(name)));
  if (!stored || stored->record.stage != EnvironmentStage::kDeleting) {
    return Ok();  // the deletion went on meanwhile
  }
  LostHsm lost = NewRecord(hsm, declaration, clock);
  const Uuid& id = stored->record.identity.id;
  const RecordedMasters recorded = KMS_TRY(ReadMasterKeys(store, id));
  if (const auto held = recorded.find(lost.hsm); held != recorded.end()) {
    AddMasters(held->second, lost);
  }
  lost.resident_keys = KMS_TRY(ForgetDeletedResidentKeysIn(store, id, hsm));
  TellLoss(name, lost);
  return Ok();
}

void Environments::Impl::TellLoss(const std::string& name, const LostHsm& lost) const {
  std::string what = "declared lost by " + lost.declaration.declared_by;
  if (!lost.declaration.reason.empty()) {
    what += " (" + lost.declaration.reason + ")";
  }
  what += "; " + std::to_string(lost.master_keys.size()) + " master keys";
  if (lost.resident_keys != 0) {
    what += " and " + std::to_string(lost.resident_keys) + " keys that were deleted";
  }
  internal::RecordHsmEvent(options, clock,
                           {.operation = "hsm-lost",
                            .environment = name,
                            .hsm = lost.hsm,
                            .problem = what + " stay in it undestroyed",
                            .items = static_cast<std::int64_t>(lost.master_keys.size()),
                            .alarms = true});
}

Result<std::vector<LostHsm>> Environments::LostHsms(std::string_view name) const {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  return ReadLostHsms(impl_->sys->environment()->store(), slot->environment()->identity().id);
}

Status Environments::SettleLostKeys(std::string_view name, MasterKeyVersion version) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  return SettleLostMasterKeys(impl_->sys->environment()->store(),
                              slot->environment()->identity().id, version);
}

}  // namespace kms
