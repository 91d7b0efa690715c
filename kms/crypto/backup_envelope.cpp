// SPDX-License-Identifier: Apache-2.0
// A backup file, format 1 (numbers big-endian):
//
//   "KMSSTORE"(8) | format(1) | header size(4) | content size(8) | SHA-256 of the content(32)
//   | header | MAC(32) | content
//   `------------------------------- head -----------------------'
//
//   MAC = HMAC-SHA-256 over everything before it
#include "kms/crypto/backup_envelope.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "kms/base/record_codec.h"
#include "kms/crypto/hmac_sha256.h"

namespace kms {

namespace {

constexpr std::string_view kMagic = "KMSSTORE";
constexpr std::uint8_t kFormat = 1;
static_assert(kBackupFixedBytes == 8 + 1 + 4 + 8 + kSha256Bytes);

Error NoBackup(std::string_view why) {
  return Corrupted("this is no backup of a store, or it is damaged: " + std::string(why));
}

Result<Sha256Digest> MacOf(ByteView bytes, const SecretBytes& key) {
  HmacSha256 hmac = KMS_TRY(HmacSha256::Create(key.View()));
  Sha256Digest mac{};
  KMS_TRY(hmac.Compute({bytes}, mac));
  return mac;
}

}  // namespace

Result<Bytes> EncodeBackupHead(ByteView header, std::uint64_t content_bytes,
                               const Sha256Digest& content_sha256, const SecretBytes& mac_key) {
  if (header.size() > kMaxBackupHeaderBytes) {
    return InvalidArgument("the header of the backup is too long");
  }
  RecordWriter writer;
  writer.PutRaw(AsBytes(kMagic));
  writer.Put(kFormat);
  writer.Put(static_cast<std::uint32_t>(header.size()));
  writer.Put(content_bytes);
  writer.PutRaw(content_sha256);
  writer.PutRaw(header);
  Bytes head = writer.Take();
  const Sha256Digest mac = KMS_TRY(MacOf(head, mac_key));
  head.insert(head.end(), mac.begin(), mac.end());
  return head;
}

Result<std::size_t> BackupHeadBytes(ByteView fixed) {
  RecordReader reader(fixed);
  const ByteView magic = reader.GetRaw(kMagic.size());
  const auto format = reader.Get<std::uint8_t>();
  const auto header_bytes = reader.Get<std::uint32_t>();
  if (fixed.size() < kBackupFixedBytes || AsText(magic) != kMagic) {
    return NoBackup("it does not begin as one");
  }
  if (format != kFormat) {
    return NoBackup("format " + std::to_string(unsigned{format}) +
                    " is unknown, this release reads format " + std::to_string(unsigned{kFormat}));
  }
  if (header_bytes > kMaxBackupHeaderBytes) {
    return NoBackup("its header is too long");
  }
  return kBackupFixedBytes + header_bytes + kSha256Bytes;
}

Result<BackupEnvelope> DecodeBackupHead(ByteView head) {
  const std::size_t size = KMS_TRY(BackupHeadBytes(head));
  if (head.size() != size) {
    return NoBackup("its head has another length than it says");
  }
  RecordReader reader(head.subspan(kMagic.size() + 1));
  const auto header_bytes = reader.Get<std::uint32_t>();
  BackupEnvelope envelope;
  envelope.content_bytes = reader.Get<std::uint64_t>();
  std::ranges::copy(reader.GetRaw(kSha256Bytes), envelope.content_sha256.begin());
  envelope.header = CopyOf(reader.GetRaw(header_bytes));
  std::ranges::copy(reader.GetRaw(kSha256Bytes), envelope.mac.begin());
  return envelope;
}

Status VerifyBackupHead(ByteView head, const SecretBytes& mac_key) {
  const BackupEnvelope envelope = KMS_TRY(DecodeBackupHead(head));
  const Sha256Digest mac = KMS_TRY(MacOf(head.first(head.size() - kSha256Bytes), mac_key));
  if (!EqualInConstantTime(mac, envelope.mac)) {
    return Corrupted("the backup does not authenticate: it was changed, or is of another cluster");
  }
  return Ok();
}

}  // namespace kms
