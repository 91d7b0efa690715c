// SPDX-License-Identifier: Apache-2.0
// The stored forms of WrappedKey and MasterKeyRecord, and the sentinel's known bytes.
//
// All numbers are big-endian; text(n) and bytes(n) are a 4-byte length and that many bytes.
//
//   WrappedKey, format 1
//     'W' | format(1) | mechanism(1) | nonce origin(1) | tag bytes(1) | key bytes(2)
//     | master key id(16) | master key version(4) | created, unix seconds(8)
//     | token label text(n) | token serial text(n) | nonce bytes(n) | blob bytes(n)
//
//   WrappedKey, format 2: when the token has signed it
//     as format 1, 'W' | format(2) | … | blob bytes(n) | signature bytes(n)
//
//   WrapStatement, which is signed and not stored
//     "kms-wrap-v1" text(n) | mechanism(1) | key bytes(2) | master key id(16)
//     | master key version(4) | context bytes(n) | blob bytes(n)
//
//   MasterKeyRecord, format 1
//     'M' | format(1) | mechanism(1) | GCM parameter layout(1) | unwrap needs value length(1)
//     | id(16) | version(4) | created, unix seconds(8)
//     | label text(n) | token label text(n) | token serial text(n) | module description text(n)
//     | public key bytes(n) | sentinel bytes(n): a WrappedKey in its own form
#include "kms/master/wrapped_key.h"

#include "kms/base/digest.h"
#include "kms/base/record_codec.h"

namespace kms {
namespace {

constexpr char kWrappedKeyKind = 'W';
constexpr char kMasterKeyRecordKind = 'M';
constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kSignedFormat = 2;

Result<WrapMechanism> DecodeMechanism(std::uint8_t number, std::string_view what) {
  const auto mechanism = static_cast<WrapMechanism>(number);
  if (WrapMechanismName(mechanism).empty()) return UnknownInRecord(what, "wrap mechanism", number);
  return mechanism;
}

}  // namespace

std::string_view WrapMechanismName(WrapMechanism mechanism) {
  switch (mechanism) {
    case WrapMechanism::kGcmEncrypt: return "gcm-encrypt";
    case WrapMechanism::kKwpEncrypt: return "kwp-encrypt";
    case WrapMechanism::kKwEncrypt: return "kw-encrypt";
    case WrapMechanism::kKwpWrap: return "kwp-wrap";
    case WrapMechanism::kKwWrap: return "kw-wrap";
    case WrapMechanism::kOaepSha256: return "oaep-sha256";
    case WrapMechanism::kOaepSha256Raw: return "oaep-sha256-raw";
  }
  return {};
}

Bytes WrappedKey::Encode() const {
  RecordWriter writer(kWrappedKeyKind, signature.empty() ? kFormat : kSignedFormat);
  writer.Put(static_cast<std::uint8_t>(mechanism));
  writer.Put(static_cast<std::uint8_t>(nonce_origin));
  writer.Put(tag_bytes);
  writer.Put(key_bytes);
  writer.PutRaw(master_key_id.View());
  writer.Put(master_key_version);
  writer.Put(created_unix_seconds);
  writer.PutSized(AsBytes(token_label));
  writer.PutSized(AsBytes(token_serial));
  writer.PutSized(nonce);
  writer.PutSized(blob);
  if (!signature.empty()) writer.PutSized(signature);
  return writer.Take();
}

Result<WrappedKey> WrappedKey::Decode(ByteView encoded) {
  constexpr std::string_view kWhat = "wrapped key";
  RecordReader reader(encoded);
  const std::uint8_t format = KMS_TRY(ReadHead(reader, kWrappedKeyKind, kSignedFormat, kWhat));
  WrappedKey key;
  key.mechanism = KMS_TRY(DecodeMechanism(reader.Get<std::uint8_t>(), kWhat));
  const auto origin = reader.Get<std::uint8_t>();
  if (origin > static_cast<std::uint8_t>(NonceOrigin::kAppended)) {
    return UnknownInRecord(kWhat, "nonce origin", origin);
  }
  key.nonce_origin = static_cast<NonceOrigin>(origin);
  key.tag_bytes = reader.Get<std::uint8_t>();
  key.key_bytes = reader.Get<std::uint16_t>();
  key.master_key_id = reader.GetUuid();
  key.master_key_version = reader.Get<std::uint32_t>();
  key.created_unix_seconds = reader.Get<std::int64_t>();
  key.token_label = reader.GetText();
  key.token_serial = reader.GetText();
  key.nonce = CopyOf(reader.GetSized());
  key.blob = CopyOf(reader.GetSized());
  if (format == kSignedFormat) {
    key.signature = CopyOf(reader.GetSized());
    if (key.signature.empty()) reader.Fail();
  }
  if (!reader.Finished()) return DamagedRecord(kWhat, "wrong length");
  return key;
}

Bytes WrapStatement(const WrappedKey& wrapped, ByteView context) {
  RecordWriter writer;
  writer.PutText("kms-wrap-v1");
  writer.Put(static_cast<std::uint8_t>(wrapped.mechanism));
  writer.Put(wrapped.key_bytes);
  writer.PutRaw(wrapped.master_key_id.View());
  writer.Put(wrapped.master_key_version);
  writer.PutSized(context);
  writer.PutSized(wrapped.blob);
  return writer.Take();
}

Bytes MasterKeyRecord::Encode() const {
  RecordWriter writer(kMasterKeyRecordKind, kFormat);
  writer.Put(static_cast<std::uint8_t>(mechanism));
  writer.Put(static_cast<std::uint8_t>(gcm_layout));
  writer.Put(static_cast<std::uint8_t>(unwrap_needs_value_length ? 1 : 0));
  writer.PutRaw(id.View());
  writer.Put(version);
  writer.Put(created_unix_seconds);
  writer.PutSized(AsBytes(label));
  writer.PutSized(AsBytes(token_label));
  writer.PutSized(AsBytes(token_serial));
  writer.PutSized(AsBytes(module_description));
  writer.PutSized(public_key);
  writer.PutSized(sentinel.Encode());
  return writer.Take();
}

Result<MasterKeyRecord> MasterKeyRecord::Decode(ByteView encoded) {
  constexpr std::string_view kWhat = "master key record";
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kMasterKeyRecordKind, kFormat, kWhat));
  MasterKeyRecord record;
  record.mechanism = KMS_TRY(DecodeMechanism(reader.Get<std::uint8_t>(), kWhat));
  const auto layout = static_cast<GcmParameterLayout>(reader.Get<std::uint8_t>());
  const auto needs_length = reader.Get<std::uint8_t>();
  if ((layout != GcmParameterLayout::kWithIvBits && layout != GcmParameterLayout::kWithoutIvBits) ||
      needs_length > 1) {
    return DamagedRecord(kWhat, "unknown mechanism parameters");
  }
  record.gcm_layout = layout;
  record.unwrap_needs_value_length = needs_length == 1;
  record.id = reader.GetUuid();
  record.version = reader.Get<std::uint32_t>();
  record.created_unix_seconds = reader.Get<std::int64_t>();
  record.label = reader.GetText();
  record.token_label = reader.GetText();
  record.token_serial = reader.GetText();
  record.module_description = reader.GetText();
  record.public_key = CopyOf(reader.GetSized());
  const ByteView sentinel = reader.GetSized();
  if (!reader.Finished()) return DamagedRecord(kWhat, "wrong length");
  record.sentinel = KMS_TRY(WrappedKey::Decode(sentinel));
  return record;
}

Bytes SentinelValue(const Uuid& master_key_id) {
  const Sha256Digest digest = Sha256({AsBytes("kms sentinel value 1"), master_key_id.View()});
  return {digest.begin(), digest.end()};
}

Bytes SentinelContext(const Uuid& master_key_id) {
  Bytes context = CopyOf(AsBytes("kms sentinel context 1"));
  context.insert(context.end(), master_key_id.View().begin(), master_key_id.View().end());
  return context;
}

}  // namespace kms
