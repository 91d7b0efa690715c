// SPDX-License-Identifier: Apache-2.0
// One record, format 1 (numbers big-endian, texts with a 4-byte length):
//
//   'L' | 1 | id(16) | hsm text | declared by text | reason text | declared, unix seconds(8)
//       | objects of deleted keys(8) | number of master keys(4)
//       | per master key: version(4) | token label text | token serial text | id(16) | label text
//         | made, unix seconds(8)
#include "kms/operations/lost_hsm.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr char kKind = 'L';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "record of a lost HSM";

LostMasterKey GetMasterKey(RecordReader& reader) {
  LostMasterKey key;
  key.version = reader.Get<MasterKeyVersion>();
  key.token_label = reader.GetText();
  key.token_serial = reader.GetText();
  key.id = reader.GetUuid();
  key.label = reader.GetText();
  key.made_unix_seconds = reader.Get<std::int64_t>();
  return key;
}

struct Found {
  std::string path;
  Revision revision = 0;
  LostHsm record;
};

Result<std::vector<Found>> ReadAll(SealedStore& sys, const Uuid& environment_id) {
  std::vector<Found> all;
  for (const ListedEntry& listed : KMS_TRY(ListAll(sys, LostHsmPrefix(environment_id)))) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(listed.path));
    if (entry) {
      all.push_back({.path = listed.path,
                     .revision = entry->revision,
                     .record = KMS_TRY(LostHsm::Decode(entry->value.View()))});
    }
  }
  return all;
}

}  // namespace

Bytes LostHsm::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.PutRaw(id.View());
  writer.PutText(hsm);
  writer.PutText(declaration.declared_by);
  writer.PutText(declaration.reason);
  writer.Put(declared_unix_seconds);
  writer.Put(resident_keys);
  writer.Put(static_cast<std::uint32_t>(master_keys.size()));
  for (const LostMasterKey& key : master_keys) {
    writer.Put(key.version);
    writer.PutText(key.token_label);
    writer.PutText(key.token_serial);
    writer.PutRaw(key.id.View());
    writer.PutText(key.label);
    writer.Put(key.made_unix_seconds);
  }
  return writer.Take();
}

Result<LostHsm> LostHsm::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  LostHsm lost;
  lost.id = reader.GetUuid();
  lost.hsm = reader.GetText();
  lost.declaration.declared_by = reader.GetText();
  lost.declaration.reason = reader.GetText();
  lost.declared_unix_seconds = reader.Get<std::int64_t>();
  lost.resident_keys = reader.Get<std::uint64_t>();
  const auto keys = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < keys && !reader.failed(); ++index) {
    lost.master_keys.push_back(GetMasterKey(reader));
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "malformed; restore the store from a backup");
  }
  return lost;
}

std::string LostHsmPrefix(const Uuid& environment_id) {
  return "lost-hsms/" + environment_id.ToString() + "/";
}

std::string LostHsmPath(const Uuid& environment_id, const Uuid& id) {
  return LostHsmPrefix(environment_id) + id.ToString();
}

Result<std::vector<LostHsm>> ReadLostHsms(SealedStore& sys, const Uuid& environment_id) {
  std::vector<Found> found = KMS_TRY(ReadAll(sys, environment_id));
  std::vector<LostHsm> records;
  records.reserve(found.size());
  for (Found& one : found) {
    records.push_back(std::move(one.record));
  }
  std::ranges::sort(records, {}, [](const LostHsm& one) {
    return std::tuple(one.declared_unix_seconds, one.id.ToString());
  });
  return records;
}

Status SettleLostMasterKeys(SealedStore& sys, const Uuid& environment_id,
                            MasterKeyVersion version) {
  std::vector<SealedMutation> mutations;
  std::vector<Found> found = KMS_TRY(ReadAll(sys, environment_id));
  for (Found& one : found) {
    const std::size_t settled =
        std::erase_if(one.record.master_keys,
                      [version](const LostMasterKey& key) { return key.version == version; });
    if (settled != 0) {
      mutations.push_back({.path = one.path,
                           .value = KMS_TRY(SecretBytes::CopyOf(one.record.Encode())),
                           .expected_revision = one.revision});
    }
  }
  if (!mutations.empty()) {
    KMS_TRY(sys.Commit(std::move(mutations)));
  }
  return Ok();
}

}  // namespace kms
