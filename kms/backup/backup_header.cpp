// SPDX-License-Identifier: Apache-2.0
// Format 1 (numbers big-endian, texts and records with a 4-byte length):
//
//   'H' | 1 | BackupRecord | sys id(16) | epoch(8) | digest text | key version(4)
//   | number of wraps(4) | per wrap: hsm text | MasterKeyRecord | WrappedKey
#include "kms/backup/backup_header.h"

#include <utility>

#include "kms/base/record_codec.h"
#include "kms/crypto/hkdf.h"

namespace kms {

namespace {

constexpr char kKind = 'H';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "header of a backup";

Result<StoredWrap> GetWrap(RecordReader& reader) {
  StoredWrap wrap;
  wrap.hsm = reader.GetText();
  wrap.master = KMS_TRY(MasterKeyRecord::Decode(reader.GetSized()));
  wrap.wrapped = KMS_TRY(WrappedKey::Decode(reader.GetSized()));
  return wrap;
}

}  // namespace

Bytes BackupHeader::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.PutSized(record.Encode());
  writer.PutRaw(sys_id.View());
  writer.Put(epoch);
  writer.PutText(digest);
  writer.Put(key_version);
  writer.Put(static_cast<std::uint32_t>(wraps.size()));
  for (const StoredWrap& wrap : wraps) {
    writer.PutText(wrap.hsm);
    writer.PutSized(wrap.master.Encode());
    writer.PutSized(wrap.wrapped.Encode());
  }
  return writer.Take();
}

Result<BackupHeader> BackupHeader::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  BackupHeader header;
  header.record = KMS_TRY(BackupRecord::Decode(reader.GetSized()));
  header.sys_id = reader.GetUuid();
  header.epoch = reader.Get<std::uint64_t>();
  header.digest = reader.GetText();
  header.key_version = reader.Get<EnvironmentKeyVersion>();
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    header.wraps.push_back(KMS_TRY(GetWrap(reader)));
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "another length than it says");
  }
  return header;
}

Result<SecretBytes> BackupMacKey(const SecretBytes& sys_key, const Uuid& backup_id) {
  return HkdfSha256(sys_key.View(), backup_id.View(), AsBytes("kms backup v1"), 32);
}

}  // namespace kms
