// SPDX-License-Identifier: Apache-2.0
// The stored forms of a key and of an archived version. They are frozen: a change takes a new
// format byte, and older formats are read for ever (tests/vectors/key_v1.hex, key_v2.hex,
// key_v3.hex, archived_version_v1.hex, archived_version_v2.hex, archived_version_v3.hex).
//
// Key, format 2; integers are big-endian and unsigned unless said:
//
//   1  format        2
//   1  type          number of the key type (kms/keys/key_type.h)
//   1  flags         bit 0 derived, 1 convergent, 2 exportable, 3 plaintext backup, 4 deletion
//                    allowed, 5 imported, 6 imported and may rotate, 7 soft-deleted
//   1  name length   1..128
//   n  name
//  16  incarnation
//   8  auto rotate period in seconds, signed
//   4  minimum available version
//   4  minimum decryption version
//   4  minimum encryption version
//   4  latest version
//   4  size of an hmac key, else 0
//   2  stamps        of the last backup and the last restore, each:
//      1  whether there is one, and if so
//      8  time, as below
//      4  version
//      one record for each version from the minimum decryption version to the latest
//
// Version record:
//
//   4  number
//   8  creation time, nanoseconds since 1970-01-01 UTC, signed
//   2  length, then the material
//   2  length, then the HMAC key
//   2  length, then the public key
//   1  number of certificates, each 2 length, then its DER
//
// Archived version, format 2: the format byte, then one version record.
//
// Format 1 has no sizes, stamps, public keys and certificates, and flags 0 to 4 only.
//
// Format 3 is that of keys that live in HSM tokens, and of no others. After the stamps:
//
//   1  protection    1 made in the token, 2 existed before
//
// and at the end of each version record:
//
//   1  type of the key in the token (kms/keys/resident_key.h)
//   1  bytes of the token's nonces
//   2  length, then the name of the token's HSM; in the same way the reference of an external key,
//      the key's id and label, and label and serial number of the token
//
// One key has one encoding of the latest format: unused bits, missing bytes and bytes left over are
// refused. Whole entries are sealed before they are stored, which is what detects a change inside
// the material.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "kms/keys/key.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat1 = 1;
constexpr std::uint8_t kFormat = 2;
constexpr std::uint8_t kResidentFormat = 3;
constexpr std::size_t kFixedKeyBytes = 4 + Uuid::kBytes + 8 + 5 * 4 + 2;
constexpr std::size_t kStampBytes = 8 + 4;
constexpr std::size_t kFixedRecordBytes = 4 + 8 + 2 + 2 + 2 + 1;

constexpr std::uint8_t kDerived = 1U << 0U;
constexpr std::uint8_t kConvergent = 1U << 1U;
constexpr std::uint8_t kExportable = 1U << 2U;
constexpr std::uint8_t kPlaintextBackup = 1U << 3U;
constexpr std::uint8_t kDeletionAllowed = 1U << 4U;
constexpr std::uint8_t kFlagsOfFormat1 = (1U << 5U) - 1;
constexpr std::uint8_t kImported = 1U << 5U;
constexpr std::uint8_t kMayRotate = 1U << 6U;
constexpr std::uint8_t kSoftDeleted = 1U << 7U;

class Writer {
 public:
  explicit Writer(MutableByteView out) : out_(out) {}

  void Number(std::uint64_t value, std::size_t size) {
    for (std::size_t index = size; index-- > 0; value >>= 8U) {
      out_[index] = static_cast<std::uint8_t>(value);
    }
    out_ = out_.subspan(size);
  }

  void Raw(ByteView bytes) {
    std::ranges::copy(bytes, out_.begin());
    out_ = out_.subspan(bytes.size());
  }

  // With a length of two bytes before it.
  void Sized(ByteView bytes) {
    Number(bytes.size(), 2);
    Raw(bytes);
  }

  void Time(WallTime time) {
    Number(static_cast<std::uint64_t>(time.time_since_epoch().count()), 8);
  }

 private:
  MutableByteView out_;
};

class Reader {
 public:
  explicit Reader(ByteView in) : in_(in) {}

  Result<std::uint64_t> Number(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : KMS_TRY(Raw(size))) {
      value = (value << 8U) | byte;
    }
    return value;
  }

  Result<std::uint8_t> Byte() { return static_cast<std::uint8_t>(KMS_TRY(Number(1))); }

  Result<std::uint32_t> Number32() { return static_cast<std::uint32_t>(KMS_TRY(Number(4))); }

  Result<std::int64_t> Signed64() { return static_cast<std::int64_t>(KMS_TRY(Number(8))); }

  Result<ByteView> Raw(std::size_t size) {
    if (size > in_.size()) {
      return Corrupted("stored key is damaged", "it ends early");
    }
    const ByteView bytes = in_.first(size);
    in_ = in_.subspan(size);
    return bytes;
  }

  Result<WallTime> Time() { return WallTime(std::chrono::nanoseconds(KMS_TRY(Signed64()))); }

  Result<ByteView> Sized() {
    const std::size_t size = KMS_TRY(Number(2));
    return Raw(size);
  }

  Result<SecretBytes> Secret() {
    const ByteView bytes = KMS_TRY(Sized());
    return SecretBytes::CopyOf(bytes);
  }

  // Reads the format byte; format() from then on.
  Status Format() {
    format_ = KMS_TRY(Byte());
    if (format_ >= kFormat1 && format_ <= kResidentFormat) {
      return Ok();
    }
    return Corrupted("stored key has format " + std::to_string(unsigned{format_}) +
                     ", this program reads formats " + std::to_string(unsigned{kFormat1}) +
                     " to " + std::to_string(unsigned{kResidentFormat}) +
                     ": it was written by another version of the program or is damaged");
  }
  [[nodiscard]] std::uint8_t format() const { return format_; }

  Status End() const {
    return in_.empty() ? Ok() : Status(Corrupted("stored key is damaged", "bytes are left over"));
  }

  [[nodiscard]] std::size_t left() const { return in_.size(); }

 private:
  ByteView in_;
  std::uint8_t format_ = kFormat;
};

std::size_t ResidentBytes(const ResidentVersion& where) {
  const ResidentKeyRecord& record = where.record;
  return 1 + 1 + 6 * std::size_t{2} + where.hsm.size() + where.reference.size() + record.id.size() +
         record.label.size() + record.token_label.size() + record.token_serial.size();
}

std::size_t RecordBytes(const KeyVersion& version) {
  std::size_t size = kFixedRecordBytes + version.material.size() + version.hmac_key.size() +
                     version.public_key.size();
  for (const Bytes& certificate : version.certificate_chain) {
    size += 2 + certificate.size();
  }
  return version.resident ? size + ResidentBytes(*version.resident) : size;
}

// Whether every length fits the bytes that are written of it.
bool FitsRecord(const KeyVersion& version) {
  constexpr std::size_t kLargest = 0xFFFF;
  return version.material.size() <= kLargest && version.hmac_key.size() <= kLargest &&
         version.public_key.size() <= kLargest && version.certificate_chain.size() <= 0xFF &&
         (!version.resident || ResidentBytes(*version.resident) <= kLargest) &&
         std::ranges::all_of(version.certificate_chain, [](const Bytes& certificate) {
           return certificate.size() <= kLargest;
         });
}

void WriteResident(Writer& writer, const ResidentVersion& where) {
  writer.Number(static_cast<std::uint8_t>(where.record.type), 1);
  writer.Number(where.record.nonce_bytes, 1);
  writer.Sized(AsBytes(where.hsm));
  writer.Sized(AsBytes(where.reference));
  writer.Sized(where.record.id);
  writer.Sized(AsBytes(where.record.label));
  writer.Sized(AsBytes(where.record.token_label));
  writer.Sized(AsBytes(where.record.token_serial));
}

Result<std::string> ReadText(Reader& reader) {
  const ByteView bytes = KMS_TRY(reader.Sized());
  return std::string(AsText(bytes));
}

Result<ResidentVersion> ReadResident(Reader& reader) {
  ResidentVersion where;
  const std::uint8_t type = KMS_TRY(reader.Byte());
  if (type < static_cast<std::uint8_t>(ResidentKeyType::kAes256Gcm) ||
      type > static_cast<std::uint8_t>(ResidentKeyType::kEcdsaP521)) {
    return Corrupted("stored key has type number " + std::to_string(unsigned{type}) +
                     " in its HSM, which this program does not know");
  }
  where.record.type = static_cast<ResidentKeyType>(type);
  where.record.nonce_bytes = KMS_TRY(reader.Byte());
  where.hsm = KMS_TRY(ReadText(reader));
  where.reference = KMS_TRY(ReadText(reader));
  where.record.id = CopyOf(KMS_TRY(reader.Sized()));
  where.record.label = KMS_TRY(ReadText(reader));
  where.record.token_label = KMS_TRY(ReadText(reader));
  where.record.token_serial = KMS_TRY(ReadText(reader));
  return where;
}

void WriteRecord(Writer& writer, const KeyVersion& version) {
  writer.Number(version.number, 4);
  writer.Time(version.created);
  writer.Sized(version.material.View());
  writer.Sized(version.hmac_key.View());
  writer.Sized(version.public_key);
  writer.Number(version.certificate_chain.size(), 1);
  for (const Bytes& certificate : version.certificate_chain) {
    writer.Sized(certificate);
  }
  if (version.resident) {
    WriteResident(writer, *version.resident);
  }
}

Result<KeyVersion> ReadRecord(Reader& reader) {
  KeyVersion version;
  version.number = KMS_TRY(reader.Number32());
  version.created = KMS_TRY(reader.Time());
  version.material = KMS_TRY(reader.Secret());
  version.hmac_key = KMS_TRY(reader.Secret());
  if (reader.format() == kFormat1) {
    return version;
  }
  version.public_key = CopyOf(KMS_TRY(reader.Sized()));
  version.certificate_chain.resize(KMS_TRY(reader.Byte()));
  for (Bytes& certificate : version.certificate_chain) {
    certificate = CopyOf(KMS_TRY(reader.Sized()));
  }
  if (reader.format() == kResidentFormat) {
    version.resident = KMS_TRY(ReadResident(reader));
    version.resident->record.public_key = version.public_key;
  }
  return version;
}

std::uint8_t FlagsOf(const KeyPolicy& policy) {
  const auto flag = [](bool set, std::uint8_t bit) { return set ? bit : std::uint8_t{0}; };
  return static_cast<std::uint8_t>(
      flag(policy.derived, kDerived) | flag(policy.convergent_encryption, kConvergent) |
      flag(policy.exportable, kExportable) | flag(policy.allow_plaintext_backup, kPlaintextBackup) |
      flag(policy.deletion_allowed, kDeletionAllowed) | flag(policy.imported, kImported) |
      flag(policy.imported_allow_rotation, kMayRotate) | flag(policy.soft_deleted, kSoftDeleted));
}

Status ReadFlags(Reader& reader, KeyPolicy& policy) {
  const unsigned flags = KMS_TRY(reader.Byte());
  if (reader.format() == kFormat1 && (flags & ~unsigned{kFlagsOfFormat1}) != 0) {
    return Corrupted("stored key is damaged", "unknown flags");
  }
  policy.derived = (flags & kDerived) != 0;
  policy.convergent_encryption = (flags & kConvergent) != 0;
  policy.exportable = (flags & kExportable) != 0;
  policy.allow_plaintext_backup = (flags & kPlaintextBackup) != 0;
  policy.deletion_allowed = (flags & kDeletionAllowed) != 0;
  policy.imported = (flags & kImported) != 0;
  policy.imported_allow_rotation = (flags & kMayRotate) != 0;
  policy.soft_deleted = (flags & kSoftDeleted) != 0;
  return Ok();
}

std::size_t StampBytes(const std::optional<TransferStamp>& stamp) { return stamp ? kStampBytes : 0; }

void WriteStamp(Writer& writer, const std::optional<TransferStamp>& stamp) {
  writer.Number(stamp ? 1 : 0, 1);
  if (stamp) {
    writer.Time(stamp->time);
    writer.Number(stamp->version, 4);
  }
}

Result<std::optional<TransferStamp>> ReadStamp(Reader& reader) {
  const unsigned present = KMS_TRY(reader.Byte());
  if (present > 1) {
    return Corrupted("stored key is damaged", "unknown stamp");
  }
  if (present == 0) {
    return std::optional<TransferStamp>();
  }
  TransferStamp stamp;
  stamp.time = KMS_TRY(reader.Time());
  stamp.version = KMS_TRY(reader.Number32());
  return std::optional(stamp);
}

void WritePolicy(Writer& writer, const KeyPolicy& policy) {
  writer.Number(static_cast<std::uint8_t>(policy.type), 1);
  writer.Number(FlagsOf(policy), 1);
  writer.Number(policy.name.size(), 1);
  writer.Raw(AsBytes(policy.name));
  writer.Raw(policy.incarnation.View());
  writer.Number(static_cast<std::uint64_t>(policy.auto_rotate_period_seconds), 8);
  writer.Number(policy.min_available_version, 4);
  writer.Number(policy.min_decryption_version, 4);
  writer.Number(policy.min_encryption_version, 4);
  writer.Number(policy.latest_version, 4);
  writer.Number(policy.key_size, 4);
  WriteStamp(writer, policy.backup_info);
  WriteStamp(writer, policy.restore_info);
  if (policy.is_resident()) {
    writer.Number(static_cast<std::uint8_t>(policy.protection), 1);
  }
}

Result<KeyProtection> ReadProtection(Reader& reader) {
  const std::uint8_t number = KMS_TRY(reader.Byte());
  if (number < static_cast<std::uint8_t>(KeyProtection::kHsm) ||
      number > static_cast<std::uint8_t>(KeyProtection::kExternal)) {
    return Corrupted("stored key is damaged", "unknown protection");
  }
  return static_cast<KeyProtection>(number);
}

Result<KeyType> ReadType(Reader& reader) {
  const std::uint8_t number = KMS_TRY(reader.Byte());
  const std::optional<KeyType> type = KeyTypeFromNumber(number);
  if (!type.has_value()) {
    return Corrupted("stored key has type number " + std::to_string(unsigned{number}) +
                     ", which this program does not know");
  }
  return *type;
}

Result<KeyPolicy> ReadPolicy(Reader& reader) {
  KeyPolicy policy;
  policy.type = KMS_TRY(ReadType(reader));
  KMS_TRY(ReadFlags(reader, policy));
  const std::size_t name_size = KMS_TRY(reader.Byte());
  policy.name = AsText(KMS_TRY(reader.Raw(name_size)));
  const ByteView incarnation = KMS_TRY(reader.Raw(Uuid::kBytes));
  policy.incarnation = KMS_TRY(Uuid::FromBytes(incarnation));
  policy.auto_rotate_period_seconds = KMS_TRY(reader.Signed64());
  policy.min_available_version = KMS_TRY(reader.Number32());
  policy.min_decryption_version = KMS_TRY(reader.Number32());
  policy.min_encryption_version = KMS_TRY(reader.Number32());
  policy.latest_version = KMS_TRY(reader.Number32());
  if (reader.format() == kFormat1) {
    return policy;
  }
  policy.key_size = KMS_TRY(reader.Number32());
  policy.backup_info = KMS_TRY(ReadStamp(reader));
  policy.restore_info = KMS_TRY(ReadStamp(reader));
  if (reader.format() == kResidentFormat) {
    policy.protection = KMS_TRY(ReadProtection(reader));
  }
  return policy;
}

}  // namespace

Result<SecretBytes> Key::Encode() const {
  std::size_t size = kFixedKeyBytes + policy_.name.size() + StampBytes(policy_.backup_info) +
                     StampBytes(policy_.restore_info) + (policy_.is_resident() ? 1 : 0);
  for (const KeyVersion& version : versions_) {
    if (!FitsRecord(version)) {
      return InvalidArgument("a certificate chain is too long to be stored");
    }
    size += RecordBytes(version);
  }
  SecretBytes encoded = KMS_TRY(SecretBytes::OfSize(size));
  Writer writer(encoded.MutableView());
  writer.Number(policy_.is_resident() ? kResidentFormat : kFormat, 1);
  WritePolicy(writer, policy_);
  for (const KeyVersion& version : versions_) {
    WriteRecord(writer, version);
  }
  return encoded;
}

Result<Key> Key::Decode(ByteView encoded) {
  Reader reader(encoded);
  KMS_TRY(reader.Format());
  KeyPolicy policy = KMS_TRY(ReadPolicy(reader));
  std::vector<KeyVersion> versions;
  while (reader.left() != 0) {
    versions.push_back(KMS_TRY(ReadRecord(reader)));
  }
  return Create(std::move(policy), std::move(versions));
}

Result<SecretBytes> EncodeArchivedVersion(const KeyVersion& version) {
  if (!FitsRecord(version)) {
    return InvalidArgument("a certificate chain is too long to be stored");
  }
  SecretBytes encoded = KMS_TRY(SecretBytes::OfSize(1 + RecordBytes(version)));
  Writer writer(encoded.MutableView());
  writer.Number(version.resident ? kResidentFormat : kFormat, 1);
  WriteRecord(writer, version);
  return encoded;
}

Result<KeyVersion> DecodeArchivedVersion(ByteView encoded) {
  Reader reader(encoded);
  KMS_TRY(reader.Format());
  KeyVersion version = KMS_TRY(ReadRecord(reader));
  KMS_TRY(reader.End());
  const bool complete = version.resident ||
                        ((!version.material.empty() || !version.public_key.empty()) &&
                         version.hmac_key.size() >= kHmacKeyBytes);
  if (version.number == 0 || !complete) {
    return Corrupted("stored key is damaged", "an archived version is incomplete");
  }
  return version;
}

}  // namespace kms
