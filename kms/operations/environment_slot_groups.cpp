// SPDX-License-Identifier: Apache-2.0
// Tokens that come and go, and new versions of keys. Each commit stores only wraps that were opened
// again; whatever was interrupted is taken up by the next call, since master keys have ids that
// follow from what they are for (H25).
#include <algorithm>
#include <utility>

#include "kms/base/random.h"
#include "kms/master/oldest_key.h"
#include "kms/operations/environment_slot.h"
#include "kms/operations/wrapping_key.h"
#include "kms/operations/wrapping_key_device.h"

namespace kms::internal {

namespace {

Mutation Dropping(std::string path) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = std::nullopt};
}

// Every wrap that `hsm` has, damaged ones too.
std::vector<Mutation> DropWrapsOf(const GroupMaterial& material, const Uuid& id,
                                  std::string_view hsm) {
  std::vector<Mutation> mutations;
  if (const MemberMaterial* const member = material.Find(hsm)) {
    for (const auto& [version, wraps] : member->wraps) {
      for (const auto& [master, wrap] : wraps) {
        mutations.push_back(Dropping(WrappedPath(id, version, hsm, master)));
      }
    }
  }
  const std::string part = "/" + std::string(hsm) + "/";
  for (const std::string& path : material.damaged) {
    if (path.starts_with(WrappedPrefix(id)) && path.find(part) != std::string::npos) {
      mutations.push_back(Dropping(path));
    }
  }
  return mutations;
}

// Every record of a master key that `hsm` has, damaged ones too.
std::vector<Mutation> DropMastersOf(const GroupMaterial& material, const Uuid& id,
                                    std::string_view hsm) {
  std::vector<Mutation> mutations;
  if (const MemberMaterial* const member = material.Find(hsm)) {
    for (const auto& [version, master] : member->masters) {
      mutations.push_back(Dropping(MasterPath(id, hsm, version)));
    }
  }
  const std::string prefix = MasterPrefix(id) + std::string(hsm) + "/";
  for (const std::string& path : material.damaged) {
    if (path.starts_with(prefix)) {
      mutations.push_back(Dropping(path));
    }
  }
  return mutations;
}

void Append(std::vector<Mutation>& more, std::vector<Mutation>& mutations) {
  std::ranges::move(more, std::back_inserter(mutations));
}

}  // namespace

// ---- coming and going ---------------------------------------------------------------------------

Status EnvironmentSlot::Join(const GroupMember& wanted) {
  KeyWork work = KMS_TRY(BeginKeyWork());
  const MaterialHandle stored = work.material;
  KeyGroup group = stored->group;
  const auto known = std::ranges::find(group.members, wanted.hsm, &GroupMember::hsm);
  if (known != group.members.end()) {
    *known = wanted;
    return Commit(work, std::move(group), {});
  }
  group.members.push_back(wanted);
  std::ranges::sort(group.members, {}, &GroupMember::hsm);
  const SteadyTime started = clock_.SteadyNow();
  std::vector<Mutation> mutations;
  const MasterKeyVersion current = group.current_master;
  const MemberMaterial* const before = stored->Find(wanted.hsm);
  const bool was_here = before != nullptr && before->masters.contains(current);
  const Status wrapped = WrapEverything(*stored, wanted.hsm, current, mutations);
  if (!wrapped.has_value()) {
    Error error = wrapped.error();
    if (was_here && error.code == ErrorCode::kFailedPrecondition) {
      error.public_message += "; it had one when it left: if another token, or one that was "
                              "initialised anew, bears its name now, declare the old one lost "
                              "(kmsctl hsm remove " + wanted.hsm + " --env " +
                              environment_->identity().name + " --lost) and repeat this";
    }
    return error;
  }
  KMS_TRY(AddChecks(*stored, group));
  KMS_TRY(Commit(work, std::move(group), std::move(mutations)));
  Note(wanted.hsm, Ok(), started);
  Tell("hsm-join", wanted.hsm, {}, static_cast<std::int64_t>(stored->Versions().size()));
  return Ok();
}

// The master key that is there, or a new one, and every wrap under it that is missing.
Status EnvironmentSlot::WrapEverything(const GroupMaterial& material, std::string_view hsm,
                                       MasterKeyVersion version, std::vector<Mutation>& mutations) {
  const std::vector<EnvironmentKeyVersion> versions = material.Versions();
  KMS_TRY(KeyOf(versions.back()));  // a sealed environment has nothing to wrap: make no key for it
  const MasterKeyRecord master = KMS_TRY(FindOrMakeMaster(material, hsm, version, mutations));
  const MemberMaterial* const member = material.Find(hsm);
  for (const EnvironmentKeyVersion key : versions) {
    const SecretBytes bytes = KMS_TRY(KeyOf(key));
    const WrappedKey* const wrapped = member == nullptr ? nullptr : member->FindWrap(key, version);
    if (wrapped == nullptr) {
      KMS_TRY(AddWrap(hsm, master, version, {.version = key, .bytes = bytes}, mutations));
      continue;
    }
    const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
    const SecretBytes opened = KMS_TRY(
        device->Unwrap(master, *wrapped, EnvironmentKeyContext(environment_->identity().id, key),
                       access_.NextDeadline(*device)));
    if (!(opened == bytes)) {
      return Corrupted("HSM " + std::string(hsm) + " opened environment key " +
                       std::to_string(key) +
                       " to another value: restore the token from its backup");
    }
  }
  return Ok();
}

Status EnvironmentSlot::AddChecks(const GroupMaterial& material, KeyGroup& group) const {
  for (const EnvironmentKeyVersion version : material.Versions()) {
    const SecretBytes key = KMS_TRY(KeyOf(version));
    group.key_checks.insert_or_assign(version, KMS_TRY(CheckOf(environment_->identity().id, key)));
  }
  return Ok();
}

// Only what others open now, not what they have a wrap of, may be left to them.
Status EnvironmentSlot::CheckOthersOpenAll(const GroupMaterial& material,
                                           std::string_view hsm) const {
  for (const EnvironmentKeyVersion version : material.Versions()) {
    bool opened = false;
    for (const GroupMember& other : material.group.members) {
      const MemberMaterial* const held = material.Find(other.hsm);
      const MemberState state = StateOf(other.hsm).value_or(MemberState::kUnknown);
      const bool answers = state == MemberState::kReady || state == MemberState::kHealing;
      opened = opened || (other.hsm != hsm && answers && held != nullptr &&
                          held->FindWrap(version) != nullptr);
    }
    if (!opened) {
      return FailedPrecondition("HSM " + std::string(hsm) + " is the last that opens key " +
                                std::to_string(version) + " of environment " +
                                environment_->identity().name +
                                ": let another one join, and wait until it is ready");
    }
  }
  return Ok();
}

Status EnvironmentSlot::Leave(std::string_view hsm, bool destroy) {
  KeyWork work = KMS_TRY(BeginKeyWork());
  const MaterialHandle stored = work.material;
  const bool is_member = stored->group.Find(hsm) != nullptr;
  const MemberMaterial* const held = stored->Find(hsm);
  if (!is_member && (!destroy || held == nullptr)) {
    return NotFound("HSM " + std::string(hsm) + " does not open environment " +
                    environment_->identity().name);
  }
  std::map<MasterKeyVersion, MasterKeyRecord> doomed;
  if (destroy && held != nullptr) {
    doomed = KMS_TRY(MastersToDestroy(*stored, hsm, held->masters));
  }
  if (is_member) {
    KMS_TRY(CheckOthersOpenAll(*stored, hsm));
    KMS_TRY(ForgetWrappingKeyIn(hsm, held, destroy));
    KeyGroup group = stored->group;
    std::erase_if(group.members, [hsm](const GroupMember& one) { return one.hsm == hsm; });
    KMS_TRY(Commit(work, std::move(group), DropWrapsOf(*stored, environment_->identity().id, hsm)));
    Forget(hsm);
    Tell("hsm-leave", hsm, {});
  }
  return DestroyMasters(work, hsm, doomed);
}

// Its records go with the wraps: from then on nothing waits for what nobody can do.
Status EnvironmentSlot::Lose(std::string_view hsm, const LossRecorder& record) {
  KeyWork work = KMS_TRY(BeginKeyWork());
  const MaterialHandle stored = work.material;
  const Uuid& id = environment_->identity().id;
  const bool is_member = stored->group.Find(hsm) != nullptr;
  const MemberMaterial* const held = stored->Find(hsm);
  if (!is_member && held == nullptr) {
    return NotFound("HSM " + std::string(hsm) + " holds nothing of environment " +
                    environment_->identity().name);
  }
  KMS_TRY(environment_->keyring().Latest());
  if (is_member) {
    KMS_TRY(CheckOthersOpenAll(*stored, hsm));
  }
  KMS_TRY(CheckIsGone(hsm, held));
  KMS_TRY(ForgetWrappingKeyIn(hsm, held, /*destroy=*/false));
  const std::map<MasterKeyVersion, MasterKeyRecord> none;
  std::vector<Mutation> mutations = KMS_TRY(record(held == nullptr ? none : held->masters));
  std::vector<Mutation> dropped = DropWrapsOf(*stored, id, hsm);
  std::vector<Mutation> masters = DropMastersOf(*stored, id, hsm);
  Append(dropped, mutations);
  Append(masters, mutations);
  KeyGroup group = stored->group;
  std::erase_if(group.members, [hsm](const GroupMember& one) { return one.hsm == hsm; });
  ++group.losses[std::string(hsm)];
  KMS_TRY(Commit(work, std::move(group), std::move(mutations)));
  Forget(hsm);
  return Ok();
}

// What answers and has its keys can be asked to destroy them.
Status EnvironmentSlot::CheckIsGone(std::string_view hsm, const MemberMaterial* held) const {
  const std::shared_ptr<GuardedDevice> device = access_.hsms.Find(hsm);
  if (device == nullptr || held == nullptr) {
    return Ok();
  }
  for (const auto& [version, master] : held->masters) {
    const Status checked = device->CheckSentinel(master, access_.NextDeadline(*device));
    if (checked.has_value()) {
      return FailedPrecondition("HSM " + std::string(hsm) + " answers and has master key " +
                                master.label +
                                ": it is not lost; take it out with `kmsctl hsm remove " +
                                std::string(hsm) + " --destroy`");
    }
    if (checked.error().code == ErrorCode::kUnavailable) {
      return Ok();
    }
  }
  return Ok();
}

// The private half of the wrapping key cannot follow: another token makes another one.
Status EnvironmentSlot::ForgetWrappingKeyIn(std::string_view hsm, const MemberMaterial* held,
                                            bool destroy) {
  if (environment_->sealed() || held == nullptr) {
    return Ok();
  }
  const std::optional<ImportKeyRecord> key = KMS_TRY(FindWrappingKeyRecord(*environment_));
  if (!key || !IsOfSameToken(*held, *key)) {
    return Ok();
  }
  KMS_TRY(ForgetWrappingKey(*environment_));
  if (destroy) {
    const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
    KMS_TRY(device->DestroyImportKey(key->id, WrappingKeyLabel(environment_->identity().name),
                                     access_.NextDeadline(*device)));
  }
  return Ok();
}

// Before anything is changed: one record that names another key stops all of it.
Result<std::map<MasterKeyVersion, MasterKeyRecord>> EnvironmentSlot::MastersToDestroy(
    const GroupMaterial& material, std::string_view hsm,
    const std::map<MasterKeyVersion, MasterKeyRecord>& masters) const {
  const EnvironmentIdentity& identity = environment_->identity();
  std::map<MasterKeyVersion, MasterKeyRecord> checked;
  for (const auto& [version, stored] : masters) {
    MasterKeyRecord master = KMS_TRY(RecordToDestroy({.environment = identity.name,
                                                      .environment_id = identity.id,
                                                      .hsm = hsm,
                                                      .version = version,
                                                      .losses = material.group.LossesOf(hsm)},
                                                     stored));
    checked.emplace(version, std::move(master));
  }
  return checked;
}

// The object goes before its record: what is recorded can be destroyed another time.
Status EnvironmentSlot::DestroyMasters(KeyWork& work, std::string_view hsm,
                                       const std::map<MasterKeyVersion, MasterKeyRecord>& masters) {
  if (masters.empty()) {
    return Ok();
  }
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
  std::vector<Mutation> mutations;
  for (const auto& [version, master] : masters) {
    KMS_TRY(device->DestroyMasterKey(master, access_.NextDeadline(*device)));
    mutations.push_back(Dropping(MasterPath(environment_->identity().id, hsm, version)));
  }
  const KeyGroup group = work.material->group;
  return Commit(work, group, std::move(mutations));
}

void EnvironmentSlot::Forget(std::string_view hsm) {
  const ScopedLock lock(mutex_);
  const auto found = members_.find(hsm);
  if (found != members_.end()) {
    members_.erase(found);
  }
}

// ---- new versions -------------------------------------------------------------------------------

Status EnvironmentSlot::AddEnvironmentKey(EnvironmentKeyVersion version, const KeySplitter& split) {
  KeyWork work = KMS_TRY(BeginKeyWork());
  const MaterialHandle stored = work.material;
  const EnvironmentKeyVersion latest = stored->Versions().back();
  KMS_TRY(environment_->keyring().Latest());
  if (version == latest) {
    return HoldLatest(*stored, latest);
  }
  if (version != latest + 1) {
    return InvalidArgument("the next environment key is version " + std::to_string(latest + 1));
  }
  SecretBytes key = KMS_TRY(SecretBytes::OfSize(kEnvironmentKeyBytes));
  FillRandom(key.MutableView());
  std::vector<Mutation> mutations =
      KMS_TRY(WrapByMembers(*stored, {.version = version, .bytes = key}));
  std::vector<Mutation> shares = KMS_TRY(split(version, key));
  Append(shares, mutations);
  const SealedStore::Sealing sealing = environment_->store().BeginSealing();
  mutations.push_back(KMS_TRY(RecordOldestKey(store_, environment_->identity().id,
                                              stored->Versions().front(), version, key)));
  KeyGroup group = stored->group;
  group.key_checks.insert_or_assign(version, KMS_TRY(CheckOf(environment_->identity().id, key)));
  const Status committed = Commit(work, std::move(group), std::move(mutations));
  // Stored although it could not be read back: then the next call opens it.
  if (!committed.has_value()) {
    return committed;
  }
  return environment_->AddKey(version, std::move(key));
}

// A version that was stored by a call whose answer was lost is opened and sealed under from now on.
Status EnvironmentSlot::HoldLatest(const GroupMaterial& material, EnvironmentKeyVersion latest) {
  if (environment_->keyring().Find(latest).has_value()) {
    return Ok();
  }
  Error failure = Unavailable("no HSM opens the latest environment key");
  for (const std::string& hsm : Ranked()) {
    Result<SecretBytes> key = OpenWrap(material, hsm, latest);
    if (key.has_value()) {
      return environment_->AddKey(latest, *std::move(key));
    }
    failure = std::move(key).error();
  }
  return failure;
}

// By every member that answers, under the current master key and newer ones; the others are healed.
Result<std::vector<Mutation>> EnvironmentSlot::WrapByMembers(const GroupMaterial& material,
                                                             const PlainKey& key) {
  std::vector<Mutation> mutations;
  Error failure = Unavailable("no HSM of environment " + environment_->identity().name +
                              " answers; nothing was changed");
  for (const std::string& hsm : Ranked()) {
    const MemberMaterial* const member = material.Find(hsm);
    const bool usable = StateOf(hsm).value_or(MemberState::kUnknown) != MemberState::kRefused;
    if (member == nullptr || !usable) {
      continue;
    }
    auto wraps = WrapByMember(hsm, *member, material.group.current_master, key);
    if (wraps.has_value()) {
      Append(*wraps, mutations);
    } else {
      failure = std::move(wraps).error();
    }
  }
  if (mutations.empty()) {
    return failure;
  }
  return mutations;
}

Result<std::vector<Mutation>> EnvironmentSlot::WrapByMember(std::string_view hsm,
                                                            const MemberMaterial& member,
                                                            MasterKeyVersion oldest,
                                                            const PlainKey& key) {
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(access_.Find(hsm));
  std::vector<Mutation> wraps;
  for (auto master = member.masters.lower_bound(oldest); master != member.masters.end(); ++master) {
    KMS_TRY(CheckMaster(*device, master->second));
    KMS_TRY(AddWrap(hsm, master->second, master->first, key, wraps));
  }
  return wraps;
}

Status EnvironmentSlot::MakeMasterKey(std::string_view hsm, MasterKeyVersion version) {
  KeyWork work = KMS_TRY(BeginKeyWork());
  const MaterialHandle stored = work.material;
  if (stored->group.Find(hsm) == nullptr) {
    return NotFound("HSM " + std::string(hsm) + " does not open environment " +
                    environment_->identity().name);
  }
  if (version < stored->group.current_master) {
    return InvalidArgument("master key version " + std::to_string(version) +
                           " is older than the current one");
  }
  std::vector<Mutation> mutations;
  KMS_TRY(WrapEverything(*stored, hsm, version, mutations));
  KeyGroup group = stored->group;
  return mutations.empty() ? Ok() : Commit(work, std::move(group), std::move(mutations));
}

}  // namespace kms::internal
