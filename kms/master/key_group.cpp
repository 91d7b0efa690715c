// SPDX-License-Identifier: Apache-2.0
// The stored form of KeyGroup; numbers are big-endian, text is a 4-byte length and UTF-8:
//
//   'G' | 1 | current master version(4)
//       | number of members(4) | per member, by name: name text | order(4) | weight(4)
//       | number of key checks(4) | per check, by version: key version(4) | check(16)
//
// Format 2 is written when a token was declared lost, and goes on with
//
//       | number of names(4) | per name, in order: name text | times it was lost(4)
#include "kms/master/key_group.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>

#include "kms/base/digest.h"
#include "kms/base/record_codec.h"
#include "kms/crypto/hkdf.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr char kGroupKind = 'G';
constexpr std::uint8_t kGroupFormat = 1;
constexpr std::uint8_t kGroupFormatWithLosses = 2;
constexpr std::size_t kMaxHsmName = 32;
constexpr std::size_t kVersionDigits = 10;

Error Missing(std::string_view what) {
  return Corrupted("damaged store: " + std::string(what) + " is missing; restore a backup");
}

std::string Digits(std::uint32_t version) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%010u", version);
  return digits;
}

// The old form's path; the new ones begin with it and '/'.
std::string OldMasterPath(const Uuid& environment_id) {
  return "master/" + environment_id.ToString();
}

std::optional<std::uint32_t> VersionOf(std::string_view digits) {
  std::uint32_t version = 0;
  const char* const end = digits.data() + digits.size();
  const auto [parsed, code] = std::from_chars(digits.data(), end, version);
  if (digits.size() != kVersionDigits || code != std::errc{} || parsed != end || version == 0) {
    return std::nullopt;
  }
  return version;
}

// What stands before the first '/' of `rest`, which loses both.
std::string_view TakePart(std::string_view& rest) {
  const std::string_view part = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

Mutation PutNew(std::string path, Bytes value) {
  return {.path = std::move(path), .value = std::move(value), .expected_revision = 0};
}

Mutation Drop(const ListedEntry& entry) {
  return {.path = entry.path, .value = std::nullopt, .expected_revision = entry.revision};
}

// What turns the old form into the new one. The records stay byte for byte.
Result<std::vector<Mutation>> PlanMove(Store& store, const Uuid& id) {
  const std::optional<StoredValue> master = KMS_TRY(store.Get(OldMasterPath(id)));
  if (!master) {
    return Missing("the master key record");
  }
  KMS_TRY(MasterKeyRecord::Decode(master->value));
  std::vector<Mutation> mutations;
  mutations.push_back(PutNew(MasterPath(id, kDefaultHsm, 1), master->value));
  mutations.push_back(Drop({.path = OldMasterPath(id), .revision = master->revision}));
  const std::string prefix = WrappedPrefix(id);
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, prefix))) {
    const auto version = VersionOf(std::string_view(entry.path).substr(prefix.size()));
    if (!version) {
      return Corrupted("damaged store: a wrapped key has no version", entry.path);
    }
    std::optional<StoredValue> wrapped = KMS_TRY(store.Get(entry.path));
    if (wrapped) {
      mutations.push_back(
          PutNew(WrappedPath(id, *version, kDefaultHsm, 1), std::move(wrapped->value)));
      mutations.push_back(Drop(entry));
    }
  }
  if (mutations.size() == 2) {
    return Missing("the wrapped environment key");
  }
  KeyGroup group;
  group.members.push_back({.hsm = std::string(kDefaultHsm)});
  mutations.push_back(PutNew(GroupPath(id), group.Encode()));
  return mutations;
}

// Whoever moved it first did the same; what is there afterwards is what counts.
Status MoveOldForm(Store& store, const Uuid& id) {
  const std::vector<Mutation> mutations = KMS_TRY(PlanMove(store, id));
  const Result<Revision> committed = store.Commit(mutations);
  if (!committed.has_value() && committed.error().code != ErrorCode::kOutcomeUnknown &&
      committed.error().code != ErrorCode::kConflict) {
    return committed.error();
  }
  return Ok();
}

Status ReadGroup(Store& store, const Uuid& id, GroupMaterial& material) {
  std::optional<StoredValue> stored = KMS_TRY(store.Get(GroupPath(id)));
  if (!stored) {
    KMS_TRY(MoveOldForm(store, id));
    stored = KMS_TRY(store.Get(GroupPath(id)));
  }
  if (!stored) {
    return Unavailable("storage failed, nothing was changed");
  }
  material.group = KMS_TRY(KeyGroup::Decode(stored->value));
  material.group_revision = stored->revision;
  return Ok();
}

// Notes what cannot be decoded and goes on: the wraps of other tokens may be whole.
template <typename Record>
Result<std::optional<Record>> ReadRecord(Store& store, const std::string& path,
                                         GroupMaterial& material) {
  const Result<std::optional<StoredValue>> read = store.Get(path);
  if (!read.has_value() && read.error().code != ErrorCode::kCorrupted) {
    return read.error();
  }
  if (read.has_value() && !read->has_value()) {
    return std::optional<Record>{};
  }
  if (read.has_value()) {
    auto record = Record::Decode((*read)->value);
    if (record.has_value()) {
      return std::optional<Record>(*std::move(record));
    }
  }
  material.damaged.push_back(path);
  return std::optional<Record>{};
}

Status ReadMasters(Store& store, const Uuid& id, GroupMaterial& material) {
  const std::string prefix = MasterPrefix(id);
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, prefix))) {
    std::string_view rest = std::string_view(entry.path).substr(prefix.size());
    const std::string hsm(TakePart(rest));
    const std::optional<MasterKeyVersion> version = VersionOf(rest);
    if (!version) {
      return Corrupted("damaged store: a master key record has no version", entry.path);
    }
    auto record = KMS_TRY(ReadRecord<MasterKeyRecord>(store, entry.path, material));
    MemberMaterial& member = material.members[hsm];
    if (record) {
      member.masters.emplace(*version, *std::move(record));
    }
  }
  return Ok();
}

Status ReadWraps(Store& store, const Uuid& id, GroupMaterial& material) {
  const std::string prefix = WrappedPrefix(id);
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, prefix))) {
    std::string_view rest = std::string_view(entry.path).substr(prefix.size());
    const std::optional<EnvironmentKeyVersion> version = VersionOf(TakePart(rest));
    const std::string hsm(TakePart(rest));
    const std::optional<MasterKeyVersion> master = VersionOf(rest);
    if (!version || !master || hsm.empty()) {
      return Corrupted("damaged store: a wrapped key has no version", entry.path);
    }
    auto wrapped = KMS_TRY(ReadRecord<WrappedKey>(store, entry.path, material));
    if (wrapped) {
      material.members[hsm].wraps[*version].emplace(*master, *std::move(wrapped));
    }
  }
  return Ok();
}

// Of damaged wraps too, by their paths.
bool EveryVersionIsWrapped(const GroupMaterial& material, const Uuid& id) {
  const std::vector<EnvironmentKeyVersion> versions = material.Versions();
  const std::string prefix = WrappedPrefix(id);
  return std::ranges::all_of(material.damaged, [&](const std::string& path) {
    if (!path.starts_with(prefix)) {
      return true;
    }
    std::string_view rest = std::string_view(path).substr(prefix.size());
    const auto version = VersionOf(TakePart(rest));
    return std::ranges::find(versions, version.value_or(0)) != versions.end();
  });
}

using Losses = std::map<std::string, std::uint32_t, std::less<>>;

void PutLosses(const Losses& losses, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(losses.size()));
  for (const auto& [hsm, times] : losses) {
    writer.PutText(hsm);
    writer.Put(times);
  }
}

// One record has one encoding: names are in order, and none was lost zero times.
Losses GetLosses(RecordReader& reader) {
  Losses losses;
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    std::string hsm = reader.GetText();
    const auto times = reader.Get<std::uint32_t>();
    const bool in_order = losses.empty() || losses.rbegin()->first < hsm;
    if (!IsHsmName(hsm) || !in_order || times == 0) {
      reader.Fail();
    }
    losses.insert_or_assign(std::move(hsm), times);
  }
  if (losses.empty()) {
    reader.Fail();
  }
  return losses;
}

}  // namespace

bool IsHsmName(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMaxHsmName && is_plain(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_plain(c) || c == '-'; });
}

Result<KeyCheck> CheckOf(const Uuid& environment_id, const SecretBytes& key) {
  KeyCheck check;
  const SecretBytes derived = KMS_TRY(HkdfSha256(
      key.View(), environment_id.View(), AsBytes("kms environment key check v1"), check.size()));
  std::ranges::copy(derived.View(), check.begin());
  return check;
}

const GroupMember* KeyGroup::Find(std::string_view hsm) const {
  const auto found = std::ranges::find(members, hsm, &GroupMember::hsm);
  return found == members.end() ? nullptr : &*found;
}

std::uint32_t KeyGroup::LossesOf(std::string_view hsm) const {
  const auto found = losses.find(hsm);
  return found == losses.end() ? 0 : found->second;
}

Bytes KeyGroup::Encode() const {
  RecordWriter writer(kGroupKind, losses.empty() ? kGroupFormat : kGroupFormatWithLosses);
  writer.Put(current_master);
  writer.Put(static_cast<std::uint32_t>(members.size()));
  for (const GroupMember& member : members) {
    writer.PutText(member.hsm);
    writer.Put(member.order);
    writer.Put(member.weight);
  }
  writer.Put(static_cast<std::uint32_t>(key_checks.size()));
  for (const auto& [version, check] : key_checks) {
    writer.Put(version);
    writer.PutRaw(check);
  }
  if (!losses.empty()) {
    PutLosses(losses, writer);
  }
  return writer.Take();
}

Result<KeyGroup> KeyGroup::Decode(ByteView encoded) {
  constexpr std::string_view kWhat = "record of an environment's HSMs";
  RecordReader reader(encoded);
  const std::uint8_t format = KMS_TRY(ReadHead(reader, kGroupKind, kGroupFormatWithLosses, kWhat));
  KeyGroup group;
  group.current_master = reader.Get<MasterKeyVersion>();
  const auto members = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < members && !reader.failed(); ++index) {
    GroupMember member{.hsm = reader.GetText()};
    member.order = reader.Get<std::uint32_t>();
    member.weight = reader.Get<std::uint32_t>();
    const bool in_order = group.members.empty() || group.members.back().hsm < member.hsm;
    if (!IsHsmName(member.hsm) || !in_order || member.weight == 0 ||
        member.weight > kMaxMemberWeight) {
      reader.Fail();
    }
    group.members.push_back(std::move(member));
  }
  const auto checks = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < checks && !reader.failed(); ++index) {
    const auto version = reader.Get<EnvironmentKeyVersion>();
    if (version == 0 ||
        (!group.key_checks.empty() && version <= group.key_checks.rbegin()->first)) {
      reader.Fail();
    }
    const ByteView check = reader.GetRaw(KeyCheck{}.size());
    std::ranges::copy(check, group.key_checks[version].begin());
  }
  if (format == kGroupFormatWithLosses) {
    group.losses = GetLosses(reader);
  }
  if (!reader.Finished() || group.members.empty() || group.current_master == 0) {
    return DamagedRecord(kWhat, "malformed");
  }
  return group;
}

const WrappedKey* MemberMaterial::FindWrap(EnvironmentKeyVersion version) const {
  const auto found = wraps.find(version);
  return found == wraps.end() || found->second.empty() ? nullptr : &found->second.rbegin()->second;
}

const WrappedKey* MemberMaterial::FindWrap(EnvironmentKeyVersion version,
                                           MasterKeyVersion master) const {
  const auto found = wraps.find(version);
  if (found == wraps.end()) {
    return nullptr;
  }
  const auto wrap = found->second.find(master);
  return wrap == found->second.end() ? nullptr : &wrap->second;
}

const MasterKeyRecord* MemberMaterial::FindMaster(EnvironmentKeyVersion version) const {
  const auto found = wraps.find(version);
  if (found == wraps.end() || found->second.empty()) {
    return nullptr;
  }
  const auto master = masters.find(found->second.rbegin()->first);
  return master == masters.end() ? nullptr : &master->second;
}

const MemberMaterial* GroupMaterial::Find(std::string_view hsm) const {
  const auto found = members.find(hsm);
  return found == members.end() ? nullptr : &found->second;
}

bool GroupMaterial::IsDamaged(std::string_view path) const {
  return std::ranges::find(damaged, path) != damaged.end();
}

std::vector<EnvironmentKeyVersion> GroupMaterial::Versions() const {
  std::vector<EnvironmentKeyVersion> versions;
  for (const auto& [hsm, member] : members) {
    for (const auto& [version, wraps] : member.wraps) {
      versions.push_back(version);
    }
  }
  std::ranges::sort(versions);
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  return versions;
}

std::string GroupPath(const Uuid& environment_id) { return "group/" + environment_id.ToString(); }

std::string MasterPrefix(const Uuid& environment_id) { return OldMasterPath(environment_id) + "/"; }

std::string MasterPath(const Uuid& environment_id, std::string_view hsm, MasterKeyVersion version) {
  return MasterPrefix(environment_id) + std::string(hsm) + "/" + Digits(version);
}

std::string WrappedPrefix(const Uuid& environment_id) {
  return "wrapped/" + environment_id.ToString() + "/";
}

std::string WrappedPath(const Uuid& environment_id, EnvironmentKeyVersion version,
                        std::string_view hsm, MasterKeyVersion master) {
  return WrappedPrefix(environment_id) + Digits(version) + "/" + std::string(hsm) + "/" +
         Digits(master);
}

Uuid DeriveMasterKeyId(const Uuid& environment_id, std::string_view hsm, MasterKeyVersion version,
                       std::uint32_t losses) {
  RecordWriter parts;
  parts.PutText("kms master key v1");
  parts.PutSized(environment_id.View());
  parts.PutText(hsm);
  parts.Put(std::uint32_t{4});
  parts.Put(version);
  if (losses != 0) {
    parts.Put(std::uint32_t{4});
    parts.Put(losses);
  }
  Sha256Digest digest = Sha256(parts.Take());
  digest[6] = static_cast<std::uint8_t>((digest[6] & 0x0FU) | 0x80U);
  digest[8] = static_cast<std::uint8_t>((digest[8] & 0x3FU) | 0x80U);
  return Uuid::FromBytes(ByteView(digest).first(Uuid::kBytes)).value_or(Uuid());
}

Result<GroupMaterial> ReadGroupMaterial(Store& store, const Uuid& environment_id) {
  GroupMaterial material;
  KMS_TRY(ReadGroup(store, environment_id, material));
  KMS_TRY(ReadMasters(store, environment_id, material));
  KMS_TRY(ReadWraps(store, environment_id, material));
  if (!EveryVersionIsWrapped(material, environment_id)) {
    return Corrupted("damaged store: every wrap of an environment key is damaged; restore a backup",
                     material.damaged.front());
  }
  if (material.Versions().empty()) {
    return Missing("the wrapped environment key");
  }
  return material;
}

Result<RecordedMasters> ReadMasterKeys(Store& store, const Uuid& environment_id) {
  RecordedMasters recorded;
  const std::optional<StoredValue> old = KMS_TRY(store.Get(OldMasterPath(environment_id)));
  if (old) {
    recorded[std::string(kDefaultHsm)].emplace(1, KMS_TRY(MasterKeyRecord::Decode(old->value)));
  }
  GroupMaterial material;
  KMS_TRY(ReadMasters(store, environment_id, material));
  if (!material.damaged.empty()) {
    return Corrupted("damaged store: a master key record is damaged; restore a backup",
                     material.damaged.front());
  }
  for (auto& [hsm, member] : material.members) {
    recorded[hsm].merge(member.masters);
  }
  return recorded;
}

}  // namespace kms
