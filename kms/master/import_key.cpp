// SPDX-License-Identifier: Apache-2.0
// The stored form of ImportKeyRecord. Numbers are big-endian; text(n) and bytes(n) are a 4-byte
// length and that many bytes.
//
//   ImportKeyRecord, format 1
//     'I' | format(1) | id(16) | created, unix seconds(8)
//     | where OAEP is taken off(5): SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, one byte each
//     | label text(n) | token label text(n) | token serial text(n) | module description text(n)
//     | public key bytes(n): SubjectPublicKeyInfo
#include "kms/master/import_key.h"

#include <algorithm>
#include <string_view>

#include "kms/base/record_codec.h"

namespace kms {
namespace {

constexpr char kKind = 'I';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "import key record";

}  // namespace

OaepPlace ImportKeyRecord::PlaceOf(HashAlgorithm hash) const {
  const auto* const found = std::ranges::find(kImportHashes, hash);
  if (found == kImportHashes.end()) return OaepPlace::kNowhere;
  return places.at(static_cast<std::size_t>(found - kImportHashes.begin()));
}

Bytes ImportKeyRecord::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.PutRaw(id.View());
  writer.Put(created_unix_seconds);
  for (const OaepPlace place : places) writer.Put(static_cast<std::uint8_t>(place));
  writer.PutSized(AsBytes(label));
  writer.PutSized(AsBytes(token_label));
  writer.PutSized(AsBytes(token_serial));
  writer.PutSized(AsBytes(module_description));
  writer.PutSized(public_key);
  return writer.Take();
}

Result<ImportKeyRecord> ImportKeyRecord::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  ImportKeyRecord record;
  record.id = reader.GetUuid();
  record.created_unix_seconds = reader.Get<std::int64_t>();
  for (OaepPlace& place : record.places) {
    const auto number = reader.Get<std::uint8_t>();
    if (number > static_cast<std::uint8_t>(OaepPlace::kWorker)) {
      return UnknownInRecord(kWhat, "place of the padding", number);
    }
    place = static_cast<OaepPlace>(number);
  }
  record.label = reader.GetText();
  record.token_label = reader.GetText();
  record.token_serial = reader.GetText();
  record.module_description = reader.GetText();
  record.public_key = CopyOf(reader.GetSized());
  if (!reader.Finished()) return DamagedRecord(kWhat, "wrong length");
  return record;
}

}  // namespace kms
