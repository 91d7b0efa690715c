// SPDX-License-Identifier: Apache-2.0
// One backup, format 1 (numbers big-endian, texts with a 4-byte length):
//
//   'B' | 1 | id(16) | created(8) | expires(8) | revision(8) | number of master keys(4)
//   | per master key: environment id(16) | environment text | hsm text | version(4) | CKA_ID(16)
#include "kms/backup/backup_list.h"

#include <algorithm>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr char kKind = 'B';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "backup record";
constexpr std::string_view kPrefix = "backups/";
constexpr std::uint32_t kMostMasterKeys = 100'000;
constexpr std::int64_t kShownAfterExpirySeconds = std::int64_t{7} * 24 * 3600;

std::string PathOf(const Uuid& id) { return std::string(kPrefix) + id.ToString(); }

BackupMasterKey GetMasterKey(RecordReader& reader) {
  BackupMasterKey key;
  key.environment_id = reader.GetUuid();
  key.environment = reader.GetText();
  key.hsm = reader.GetText();
  key.version = reader.Get<MasterKeyVersion>();
  key.master_key_id = reader.GetUuid();
  return key;
}

// What a commit of unknown outcome made of `path`.
Status Settle(SealedStore& sys, const Result<Revision>& committed, const std::string& path,
              const std::optional<Bytes>& wanted) {
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const std::optional<OpenedEntry> now = KMS_TRY(sys.Get(path));
  const bool as_wanted =
      wanted ? now && EqualInConstantTime(now->value.View(), *wanted) : !now.has_value();
  return as_wanted
             ? Ok()
             : Status(Unavailable("storage failed, nothing was changed", committed.error().detail));
}

}  // namespace

Bytes BackupRecord::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.PutRaw(id.View());
  writer.Put(created_unix_seconds);
  writer.Put(expires_unix_seconds);
  writer.Put(revision);
  writer.Put(static_cast<std::uint32_t>(master_keys.size()));
  for (const BackupMasterKey& key : master_keys) {
    writer.PutRaw(key.environment_id.View());
    writer.PutText(key.environment);
    writer.PutText(key.hsm);
    writer.Put(key.version);
    writer.PutRaw(key.master_key_id.View());
  }
  return writer.Take();
}

Result<BackupRecord> BackupRecord::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  BackupRecord record;
  record.id = reader.GetUuid();
  record.created_unix_seconds = reader.Get<std::int64_t>();
  record.expires_unix_seconds = reader.Get<std::int64_t>();
  record.revision = reader.Get<Revision>();
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    record.master_keys.push_back(GetMasterKey(reader));
  }
  if (!reader.Finished() || count > kMostMasterKeys) {
    return DamagedRecord(kWhat, "its length is wrong");
  }
  return record;
}

Status BackupList::Put(const BackupRecord& record) {
  const std::vector<BackupRecord> known = KMS_TRY(List());
  const Bytes encoded = record.Encode();
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = PathOf(record.id),
                       .value = KMS_TRY(SecretBytes::CopyOf(encoded)),
                       .expected_revision = std::nullopt});
  const Result<Revision> committed = sys_.Commit(std::move(mutations));
  KMS_TRY(Settle(sys_, committed, PathOf(record.id), encoded));
  IgnoreError(DropLongExpired(known), "the next one tries again");
  return Ok();
}

Status BackupList::DropLongExpired(const std::vector<BackupRecord>& records) {
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  std::vector<SealedMutation> mutations;
  for (const BackupRecord& record : records) {
    if (record.expires_unix_seconds < now - kShownAfterExpirySeconds) {
      mutations.push_back(
          {.path = PathOf(record.id), .value = std::nullopt, .expected_revision = std::nullopt});
    }
  }
  if (!mutations.empty()) {
    KMS_TRY(sys_.Commit(std::move(mutations)));
  }
  return Ok();
}

Result<std::vector<BackupRecord>> BackupList::List() {
  std::vector<BackupRecord> records;
  for (const ListedEntry& listed : KMS_TRY(ListAll(sys_, kPrefix))) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(listed.path));
    if (entry) {
      records.push_back(KMS_TRY(BackupRecord::Decode(entry->value.View())));
    }
  }
  std::ranges::sort(records, {}, [](const BackupRecord& record) {
    return std::pair(record.created_unix_seconds, record.id);
  });
  return records;
}

Status BackupList::Forget(const Uuid& id) {
  const std::string path = PathOf(id);
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return NotFound("no backup of that id is known");
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = path, .value = std::nullopt, .expected_revision = std::nullopt});
  return Settle(sys_, sys_.Commit(std::move(mutations)), path, std::nullopt);
}

Result<std::vector<BackupRecord>> BackupList::Needing(const Uuid& environment_id,
                                                      MasterKeyVersion version) {
  std::vector<BackupRecord> records = KMS_TRY(List());
  const WallTime now = clock_.Now();
  std::erase_if(records, [&](const BackupRecord& record) {
    return record.ExpiredAt(now) ||
           std::ranges::none_of(record.master_keys, [&](const BackupMasterKey& key) {
             return key.environment_id == environment_id && key.version == version;
           });
  });
  return records;
}

}  // namespace kms
