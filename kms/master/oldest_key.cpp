// SPDX-License-Identifier: Apache-2.0
// The record, format 1, numbers big-endian: 'O' | format(1) | oldest key version(4)
#include "kms/master/oldest_key.h"

#include <string>
#include <utility>
#include <vector>

#include "kms/base/record_codec.h"
#include "kms/master/sealed_store.h"

namespace kms {

namespace {

constexpr char kKind = 'O';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "record of the oldest environment key";

Result<EnvironmentKeyVersion> Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  const auto oldest = reader.Get<EnvironmentKeyVersion>();
  if (!reader.Finished() || oldest == 0) {
    return DamagedRecord(kWhat, "wrong length or version");
  }
  return oldest;
}

}  // namespace

Result<Mutation> RecordOldestKey(Store& store, const Uuid& environment_id,
                                 EnvironmentKeyVersion oldest, EnvironmentKeyVersion latest,
                                 const SecretBytes& key) {
  EnvironmentKeyring keyring;
  SecretBytes copy = KMS_TRY(key.Clone());
  KMS_TRY(keyring.Add(latest, std::move(copy)));
  RecordWriter writer(kKind, kFormat);
  writer.Put(oldest);
  std::vector<SealedMutation> entry;
  entry.push_back({.path = std::string(kOldestKeyPath),
                   .value = KMS_TRY(SecretBytes::CopyOf(writer.Take())),
                   .expected_revision = std::nullopt});
  std::vector<Mutation> sealed = KMS_TRY(SealedStore(store, keyring, environment_id).Seal(entry));
  return std::move(sealed.front());
}

Result<std::optional<EnvironmentKeyVersion>> ReadOldestKey(
    Store& store, const Uuid& environment_id,
    const std::map<EnvironmentKeyVersion, SecretBytes>& keys) {
  using Recorded = std::optional<EnvironmentKeyVersion>;
  if (keys.empty()) {
    return Recorded{};
  }
  const auto& [latest, key] = *keys.rbegin();
  EnvironmentKeyring keyring;  // of that one alone: what an older one seals is not believed
  SecretBytes copy = KMS_TRY(key.Clone());
  KMS_TRY(keyring.Add(latest, std::move(copy)));
  const auto entry = SealedStore(store, keyring, environment_id).Get(kOldestKeyPath);
  if (!entry.has_value()) {
    return entry.error().code == ErrorCode::kCorrupted ? Result<Recorded>(Recorded{})
                                                       : entry.error();
  }
  if (!*entry) {
    return Recorded{};
  }
  const Result<EnvironmentKeyVersion> oldest = Decode((*entry)->value.View());
  return oldest.has_value() && *oldest <= latest ? Recorded(*oldest) : Recorded{};
}

void RefuseKeysBelow(EnvironmentKeyVersion oldest, GroupMaterial& material) {
  for (const EnvironmentKeyVersion version : material.Versions()) {
    if (version < oldest) {
      material.refused.push_back(version);
    }
  }
  for (auto& [hsm, member] : material.members) {
    member.wraps.erase(member.wraps.begin(), member.wraps.lower_bound(oldest));
  }
  auto& checks = material.group.key_checks;
  checks.erase(checks.begin(), checks.lower_bound(oldest));
}

}  // namespace kms
