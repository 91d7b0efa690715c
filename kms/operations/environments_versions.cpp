// SPDX-License-Identifier: Apache-2.0
// Versions of keys: entries move from one environment key to the next, master keys are put to use
// and destroyed. What makes new versions is environment_slot_groups.cpp.
#include <utility>

#include "kms/master/guarded_device.h"
#include "kms/master/oldest_key.h"
#include "kms/operations/environments_impl.h"
#include "kms/recovery/recipients.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr std::size_t kPage = 500;
// How long writes under way are waited for before their key is forgotten.
constexpr std::chrono::milliseconds kCommitTimeout{30000};

struct Stale {
  std::uint64_t entries = 0;
  std::string first;  // the path of one of them
};

// Calls `see` with each entry and the key version that it is sealed under.
template <typename See>
Status ForEachEntry(SealedStore& store, const See& see) {
  std::string after;
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(store.List({}, after, kPage));
    for (const ListedEntry& entry : page) {
      const std::optional<EnvironmentKeyVersion> version = KMS_TRY(store.KeyVersionOf(entry.path));
      if (version) {
        see(entry.path, *version);
      }
    }
    if (page.size() < kPage) {
      return Ok();
    }
    after = page.back().path;
  }
}

Result<Stale> FindStale(SealedStore& store, EnvironmentKeyVersion keep_from) {
  Stale stale;
  KMS_TRY(ForEachEntry(store, [&](const std::string& path, EnvironmentKeyVersion version) {
    if (version < keep_from) {
      stale.first = stale.entries == 0 ? path : stale.first;
      ++stale.entries;
    }
  }));
  return stale;
}

// Every wrap and share of the key versions below `keep_from`, those too that are not to be read. The
// versions have 10 digits: paths are in their order.
Result<std::vector<Mutation>> Forgetting(Store& store, const Uuid& id,
                                         EnvironmentKeyVersion keep_from) {
  std::vector<Mutation> mutations;
  const auto forget = [&](const std::string& prefix, const std::string& end) -> Status {
    for (ListedEntry& entry : KMS_TRY(ListAll(store, prefix))) {
      if (entry.path < end) {
        mutations.push_back({.path = std::move(entry.path),
                             .value = std::nullopt,
                             .expected_revision = std::nullopt});
      }
    }
    return Ok();
  };
  KMS_TRY(forget(WrappedPrefix(id), WrappedPath(id, keep_from, {}, 0)));
  KMS_TRY(forget(RecoveryPrefix(id), RecoveryPath(id, keep_from)));
  return mutations;
}

bool HoldsEverything(const GroupMaterial& material, const MemberMaterial& member,
                     MasterKeyVersion master) {
  if (!member.masters.contains(master)) {
    return false;
  }
  for (const EnvironmentKeyVersion version : material.Versions()) {
    const auto wraps = member.wraps.find(version);
    if (wraps == member.wraps.end() || !wraps->second.contains(master)) {
      return false;
    }
  }
  return true;
}

// An environment key that `member` opens by `master` alone or not at all; 0: there is none.
EnvironmentKeyVersion LoneVersion(const GroupMaterial& material, const MemberMaterial& member,
                                  MasterKeyVersion master) {
  for (const EnvironmentKeyVersion version : material.Versions()) {
    const auto wraps = member.wraps.find(version);
    bool other = false;
    if (wraps != member.wraps.end()) {
      for (const auto& [used, wrap] : wraps->second) {
        other = other || used != master;
      }
    }
    if (!other) {
      return version;
    }
  }
  return 0;
}

// That the token really opens every environment key by another master key than `master` (H14).
Status CheckOpensWithout(internal::EnvironmentSlot& slot, const GroupMaterial& material,
                         std::string_view hsm, MasterKeyVersion master) {
  const MemberMaterial& member = material.members.find(hsm)->second;
  for (const EnvironmentKeyVersion version : material.Versions()) {
    Status opened = NotFound("no other wrap");
    const auto& wraps = member.wraps.at(version);
    for (auto wrap = wraps.rbegin(); wrap != wraps.rend() && !opened.has_value(); ++wrap) {
      if (wrap->first != master) {
        const auto key = slot.OpenWrapUnder(material, hsm, version, wrap->first);
        opened = key.has_value() ? Ok() : Status(key.error());
      }
    }
    if (!opened.has_value()) {
      Error error = opened.error();
      error.public_message = "HSM " + std::string(hsm) +
                             " opens the environment by no newer master key now, so this one stays: " +
                             error.public_message;
      return error;
    }
  }
  return Ok();
}

std::vector<Mutation> DroppingWraps(const Uuid& id, std::string_view hsm,
                                    const MemberMaterial& member, MasterKeyVersion master) {
  std::vector<Mutation> mutations;
  for (const auto& [version, wraps] : member.wraps) {
    if (wraps.contains(master)) {
      mutations.push_back({.path = WrappedPath(id, version, hsm, master),
                           .value = std::nullopt,
                           .expected_revision = std::nullopt});
    }
  }
  return mutations;
}

}  // namespace

// ---- environment keys ---------------------------------------------------------------------------

Result<ResealedPage> Environments::ResealEntries(std::string_view name, const std::string& after,
                                                 std::size_t limit) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  SealedStore& store = slot->environment()->store();
  const std::vector<ListedEntry> entries = KMS_TRY(store.List({}, after, limit));
  std::vector<std::string> paths;
  paths.reserve(entries.size());
  for (const ListedEntry& entry : entries) {
    paths.push_back(entry.path);
  }
  ResealedPage page;
  page.seen = paths.size();
  page.resealed = KMS_TRY(store.Reseal(paths));
  page.next = paths.size() < limit ? std::string() : paths.back();
  return page;
}

Result<std::map<EnvironmentKeyVersion, std::uint64_t>> Environments::CountEntries(
    std::string_view name) const {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  std::map<EnvironmentKeyVersion, std::uint64_t> counts;
  KMS_TRY(ForEachEntry(
      slot->environment()->store(),
      [&](const std::string& /*path*/, EnvironmentKeyVersion version) { ++counts[version]; }));
  return counts;
}

Status Environments::ForgetEnvironmentKeys(std::string_view name, EnvironmentKeyVersion keep_from) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  Environment& environment = *slot->environment();
  // From here on nobody seals under one of those versions any more; whoever did has ended then.
  if (KMS_TRY(environment.keyring().Latest()) < keep_from) {
    return InvalidArgument("environment key version " + std::to_string(keep_from) +
                           " does not exist yet");
  }
  KMS_TRY(environment.store().AwaitCommits(kCommitTimeout));
  const Stale stale = KMS_TRY(FindStale(environment.store(), keep_from));
  if (stale.entries != 0) {
    return FailedPrecondition(std::to_string(stale.entries) +
                                  " entries are sealed under older environment keys still: they "
                                  "were just written, or do not open and must be restored or "
                                  "deleted",
                              "one of them is " + stale.first);
  }
  internal::KeyWork work = KMS_TRY(slot->BeginKeyWork());
  const Uuid& id = environment.identity().id;
  std::vector<Mutation> mutations = KMS_TRY(Forgetting(impl_->store, id, keep_from));
  KeyGroup group = work.material->group;
  std::erase_if(group.key_checks,
                [keep_from](const auto& check) { return check.first < keep_from; });
  if (!mutations.empty()) {
    // In the same commit: whoever puts the wraps back finds them refused.
    const EnvironmentKeyVersion latest = KMS_TRY(environment.keyring().Latest());
    const SecretBytes key = KMS_TRY(environment.keyring().Find(latest));
    const SealedStore::Sealing sealing = environment.store().BeginSealing();
    mutations.push_back(KMS_TRY(RecordOldestKey(impl_->store, id, keep_from, latest, key)));
    KMS_TRY(slot->Commit(work, std::move(group), std::move(mutations)));
  }
  slot->RefuseBelow(keep_from);
  environment.ForgetKeys(keep_from);
  return Ok();
}

// ---- master keys --------------------------------------------------------------------------------

Status Environments::SwitchMasterKey(std::string_view name, MasterKeyVersion version) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  internal::KeyWork work = KMS_TRY(slot->BeginKeyWork());
  const GroupMaterial& material = *work.material;
  if (material.group.current_master == version) {
    return Ok();
  }
  if (version < material.group.current_master) {
    return InvalidArgument("master key version " + std::to_string(version) +
                           " is older than the current one");
  }
  bool held = false;
  for (const GroupMember& member : material.group.members) {
    const auto found = material.members.find(member.hsm);
    held = held ||
           (found != material.members.end() && HoldsEverything(material, found->second, version));
  }
  if (!held) {
    return FailedPrecondition(
        "no HSM of the environment opens every environment key by master key "
        "version " +
        std::to_string(version));
  }
  KeyGroup group = material.group;
  group.current_master = version;
  return slot->Commit(work, std::move(group), {});
}

Status Environments::RetireMasterKey(std::string_view name, std::string_view hsm,
                                     MasterKeyVersion version) {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  const EnvironmentIdentity& identity = slot->environment()->identity();
  const Uuid& id = identity.id;
  internal::KeyWork work = KMS_TRY(slot->BeginKeyWork());
  if (work.material->group.current_master == version) {
    return FailedPrecondition("it is the current master key");
  }
  const auto found = work.material->members.find(hsm);
  if (found == work.material->members.end()) {
    return Ok();
  }
  const bool is_member = work.material->group.Find(hsm) != nullptr;
  const EnvironmentKeyVersion lone =
      is_member ? LoneVersion(*work.material, found->second, version) : 0;
  if (lone != 0) {
    return FailedPrecondition("HSM " + std::string(hsm) + " opens environment key version " +
                              std::to_string(lone) + " by no other master key");
  }
  // What is stored may be wrong about the token: an older copy of it may have been put back.
  if (is_member && found->second.masters.contains(version)) {
    KMS_TRY(CheckOpensWithout(*slot, *work.material, hsm, version));
  }
  const KeyGroup group = work.material->group;
  const auto record = found->second.masters.find(version);
  std::optional<MasterKeyRecord> master;
  if (record != found->second.masters.end()) {
    master = KMS_TRY(internal::RecordToDestroy({.environment = identity.name,
                                                .environment_id = id,
                                                .hsm = hsm,
                                                .version = version,
                                                .losses = group.LossesOf(hsm)},
                                               record->second));
  }
  // The wraps go first: a master key that is gone must not be wanted by anything stored.
  std::vector<Mutation> wraps = DroppingWraps(id, hsm, found->second, version);
  if (!wraps.empty()) {
    KMS_TRY(slot->Commit(work, group, std::move(wraps)));
  }
  if (!master) {
    return Ok();
  }
  const std::shared_ptr<GuardedDevice> device = impl_->hsms.Find(hsm);
  if (device == nullptr) {
    return NotFound("HSM " + std::string(hsm) + " is not configured");
  }
  KMS_TRY(device->DestroyMasterKey(*master, impl_->Access().NextDeadline(*device)));
  return slot->Commit(work, group,
                      {{.path = MasterPath(id, hsm, version),
                        .value = std::nullopt,
                        .expected_revision = std::nullopt}});
}

}  // namespace kms
