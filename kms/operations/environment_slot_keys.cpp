// SPDX-License-Identifier: Apache-2.0
// Work on the keys of one environment: wraps that open are made, then stored, then used.
#include <algorithm>
#include <utility>

#include "kms/operations/environment_slot.h"

namespace kms::internal {

namespace {

// Another's work may wait for a token that hangs.
constexpr int kTurnsTimeouts = 4;
// So that a token that returns is not kept busy by one environment with many keys.
constexpr std::size_t kWrapsPerRound = 16;

// A token that nobody can work with yet says nothing of what is in it.
std::string_view Remedy(ErrorCode code, DeviceState state) {
  const bool is_unusable = state == DeviceState::kFatalConfig || state == DeviceState::kLockedOut;
  if (code == ErrorCode::kFailedPrecondition && is_unusable) {
    return "restore the token or its login, or correct the configuration of the HSM: the environment "
           "opens by itself then";
  }
  switch (code) {
    case ErrorCode::kUnavailable: return "it opens by itself as soon as the HSM answers again";
    case ErrorCode::kFailedPrecondition:
      return "restore the token or its login; a master key is never made again, for it would not "
             "open what is stored. If the token is gone for good, or was initialised anew, declare "
             "the old one lost (kmsctl hsm remove --lost)";
    case ErrorCode::kCorrupted:
      return "the token or the stored wrap is not the recorded one: restore the right one from its "
             "backup";
    default: return "see the log";
  }
}

// Says whose key failed and what to do about it.
Error WithRemedy(const EnvironmentIdentity& identity, const std::string& master_label, Error error,
                 DeviceState state = DeviceState::kReady) {
  error.public_message = "environment " + identity.name + ", master key " + master_label + ": " +
                         error.public_message + "; " + std::string(Remedy(error.code, state));
  return error;
}

// What is wrong with the newest master key, and what opens the environment meanwhile.
Error WithStopgap(Error error, const std::string& environment, MasterKeyVersion older) {
  error.public_message += "; until then master key " + MasterKeyLabel(environment, older) +
                          ", which is not retired, opens the environment. If the newer one cannot "
                          "be restored, rotate the master key (kmsctl master rotate --env " +
                          environment + ")";
  return error;
}

bool IsAsWanted(const std::optional<StoredValue>& stored, const Mutation& mutation) {
  return stored.has_value() == mutation.value.has_value() &&
         (!stored || stored->value == *mutation.value);
}

}  // namespace

Result<KeyWork> EnvironmentSlot::BeginKeyWork() {
  KeyWork work;
  work.turn = std::unique_lock(key_mutex_, kTurnsTimeouts * options_.hsm_timeout);
  if (!work.turn.owns_lock()) {
    return Unavailable("other work on the keys of environment " + environment_->identity().name +
                       " is under way; retry later");
  }
  work.material = KMS_TRY(Read());
  return work;
}

Status EnvironmentSlot::Commit(KeyWork& work, KeyGroup group, std::vector<Mutation> mutations) {
  const Uuid& id = environment_->identity().id;
  mutations.push_back({.path = GroupPath(id),
                       .value = group.Encode(),
                       .expected_revision = work.material->group_revision});
  {
    const ScopedLock lock(mutex_);
    is_stale_ = true;
  }
  const Result<Revision> committed = store_.Commit(mutations);
  if (!committed.has_value() && committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  if (!committed.has_value()) {
    for (const Mutation& mutation : mutations) {
      const std::optional<StoredValue> stored = KMS_TRY(store_.Get(mutation.path));
      if (!IsAsWanted(stored, mutation)) {
        return Unavailable("storage failed, nothing was changed", committed.error().detail);
      }
    }
  }
  work.material = KMS_TRY(Read());
  return Ok();
}

Result<SecretBytes> EnvironmentSlot::KeyOf(EnvironmentKeyVersion version) const {
  return environment_->keyring().Find(version);
}

Result<MasterKeyRecord> EnvironmentSlot::FindOrMakeMaster(const GroupMaterial& material,
                                                          std::string_view hsm,
                                                          MasterKeyVersion version,
                                                          std::vector<Mutation>& mutations) {
  const EnvironmentIdentity& identity = environment_->identity();
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
  const MemberMaterial* const member = material.Find(hsm);
  if (member != nullptr && member->masters.contains(version)) {
    const MasterKeyRecord& recorded = member->masters.at(version);
    KMS_TRY(CheckMaster(*device, recorded));
    return recorded;
  }
  const std::string path = MasterPath(identity.id, hsm, version);
  if (material.IsDamaged(path)) {
    return Corrupted("the record of master key " + MasterKeyLabel(identity.name, version) +
                     " in HSM " + std::string(hsm) +
                     " is damaged: restore the store from a backup, or take the HSM out of the "
                     "environment");
  }
  const Uuid key_id =
      DeriveMasterKeyId(identity.id, hsm, version, material.group.LossesOf(hsm));
  MasterKeyRecord made = KMS_TRY(
      device->GenerateMasterKey(key_id, version, MasterKeyLabel(identity.name, version),
                                access_.NextDeadline(*device)));
  mutations.push_back({.path = path, .value = made.Encode(), .expected_revision = 0});
  return made;
}

// A key that silently differs would wrap what the recorded one does not open (H13).
Status EnvironmentSlot::CheckMaster(GuardedDevice& device, const MasterKeyRecord& master) const {
  const Status checked = device.CheckSentinel(master, access_.NextDeadline(device));
  return checked.has_value() ? checked
                             : WithRemedy(environment_->identity(), master.label, checked.error(),
                                          device.Statistics().state);
}

Status EnvironmentSlot::AddWrap(std::string_view hsm, const MasterKeyRecord& master,
                                MasterKeyVersion version, const PlainKey& key,
                                std::vector<Mutation>& mutations) {
  const Uuid& id = environment_->identity().id;
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
  const WrappedKey wrapped =
      KMS_TRY(WrapChecked(access_, *device, master, id, key.version, key.bytes));
  mutations.push_back({.path = WrappedPath(id, key.version, hsm, version),
                       .value = wrapped.Encode(),
                       .expected_revision = std::nullopt});
  return Ok();
}

Result<SecretBytes> EnvironmentSlot::OpenWrap(const GroupMaterial& material, std::string_view hsm,
                                              EnvironmentKeyVersion version,
                                              std::optional<Error>* newest_lost) {
  std::vector<MasterKeyVersion> masters;  // the newest first
  if (const MemberMaterial* const member = material.Find(hsm)) {
    if (const auto wraps = member->wraps.find(version); wraps != member->wraps.end()) {
      for (const auto& [master, wrap] : wraps->second) {
        masters.insert(masters.begin(), master);
      }
    }
  }
  Error failure = NotFound("HSM " + std::string(hsm) + " has no wrap of environment key " +
                           std::to_string(version) + " yet");
  for (const MasterKeyVersion master : masters) {
    Result<SecretBytes> key = OpenWrapUnder(material, hsm, version, master);
    const bool is_newest = master == masters.front();
    if (key.has_value()) {
      if (!is_newest && newest_lost != nullptr) {
        *newest_lost = WithStopgap(std::move(failure), environment_->identity().name, master);
      }
      return key;
    }
    if (key.error().code != ErrorCode::kFailedPrecondition &&
        key.error().code != ErrorCode::kCorrupted) {
      return key;  // nothing is known of the master key
    }
    if (is_newest) {
      failure = std::move(key).error();
    }
  }
  return failure;
}

Result<SecretBytes> EnvironmentSlot::OpenWrapUnder(const GroupMaterial& material,
                                                   std::string_view hsm,
                                                   EnvironmentKeyVersion version,
                                                   MasterKeyVersion master_version) {
  const EnvironmentIdentity& identity = environment_->identity();
  const MemberMaterial* const member = material.Find(hsm);
  const WrappedKey* const wrapped =
      member == nullptr ? nullptr : member->FindWrap(version, master_version);
  if (wrapped == nullptr) {
    return NotFound("HSM " + std::string(hsm) + " has no wrap of environment key " +
                    std::to_string(version) + " under master key " +
                    MasterKeyLabel(identity.name, master_version));
  }
  const auto found = member->masters.find(master_version);
  if (found == member->masters.end()) {
    return WithRemedy(identity, MasterKeyLabel(identity.name, wrapped->master_key_version),
                      Corrupted("its record is missing or damaged"));
  }
  const MasterKeyRecord* const master = &found->second;
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
  Result<SecretBytes> key =
      device->Unwrap(*master, *wrapped, EnvironmentKeyContext(identity.id, version),
                     access_.NextDeadline(*device));
  if (!key.has_value()) {
    return WithRemedy(identity, master->label, std::move(key).error(), device->Statistics().state);
  }
  const KeyCheck check = KMS_TRY(CheckOf(identity.id, *key));
  const auto known = material.group.key_checks.find(version);
  const bool differs =
      known != material.group.key_checks.end() && !EqualInConstantTime(known->second, check);
  if (key->size() != kEnvironmentKeyBytes || differs) {
    return WithRemedy(identity, master->label,
                      Corrupted("the HSM opened the environment key to another value"));
  }
  return key;
}

// ---- healing ------------------------------------------------------------------------------------

Status EnvironmentSlot::Heal(std::string_view hsm, SteadyTime started) {
  const MaterialHandle known = material();
  if (known == nullptr || !LacksAnything(*known, hsm)) {
    return Ok();
  }
  KeyWork work;
  work.turn = std::unique_lock(key_mutex_, std::try_to_lock);
  if (!work.turn.owns_lock()) {
    return Ok();  // somebody is at the keys: the next round comes soon
  }
  work.material = KMS_TRY(Read());
  if (work.material->group.Find(hsm) == nullptr || environment_->sealed()) {
    return Ok();
  }
  const MaterialHandle handle = work.material;
  const GroupMaterial& stored = *handle;
  const MasterKeyVersion current = stored.group.current_master;
  std::vector<Mutation> mutations;
  std::vector<EnvironmentKeyVersion> versions = stored.Versions();
  std::ranges::reverse(versions);  // the latest first: it is what proofs open
  std::int64_t made = 0;
  const MemberMaterial* const member = stored.Find(hsm);
  if (MissingWraps(stored, hsm) != 0) {
    const MasterKeyRecord master = KMS_TRY(FindOrMakeMaster(stored, hsm, current, mutations));
    for (const EnvironmentKeyVersion version : versions) {
      const bool wrapped = member != nullptr && member->FindWrap(version, current) != nullptr;
      if (!wrapped && made < static_cast<std::int64_t>(kWrapsPerRound)) {
        const SecretBytes bytes = KMS_TRY(KeyOf(version));
        KMS_TRY(AddWrap(hsm, master, current, {.version = version, .bytes = bytes}, mutations));
        ++made;
      }
    }
  }
  KeyGroup group = stored.group;
  KMS_TRY(AddChecks(stored, group));
  KMS_TRY(Commit(work, std::move(group), std::move(mutations)));
  if (made != 0) {
    Note(hsm, Ok(), started);
    Tell("hsm-heal", hsm, {}, made);
  }
  return Ok();
}

}  // namespace kms::internal
