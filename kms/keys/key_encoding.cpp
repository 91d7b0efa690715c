// SPDX-License-Identifier: Apache-2.0
// The stored forms of a key and of an archived version. They are frozen: a change takes a new
// format byte, and format 1 is read for ever (tests/vectors/key_v1.hex, archived_version_v1.hex).
//
// Key, format 1; integers are big-endian and unsigned unless said:
//
//   1  format        1
//   1  type          number of the key type (kms/keys/key_type.h)
//   1  flags         bit 0 derived, 1 convergent, 2 exportable, 3 plaintext backup, 4 deletion
//                    allowed; the others are 0
//   1  name length   1..128
//   n  name
//  16  incarnation
//   8  auto rotate period in seconds, signed
//   4  minimum available version
//   4  minimum decryption version
//   4  minimum encryption version
//   4  latest version
//      one record for each version from the minimum decryption version to the latest
//
// Version record:
//
//   4  number
//   8  creation time, nanoseconds since 1970-01-01 UTC, signed
//   2  length, then the material
//   2  length, then the HMAC key
//
// Archived version, format 1: the format byte, then one version record.
//
// One key has one encoding: unused bits, missing bytes and bytes left over are refused. Whole
// entries are sealed before they are stored, which is what detects a change inside the material.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "kms/keys/key.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kFixedKeyBytes = 4 + Uuid::kBytes + 8 + 4 * 4;
constexpr std::size_t kFixedRecordBytes = 4 + 8 + 2 + 2;

constexpr std::uint8_t kDerived = 1U << 0U;
constexpr std::uint8_t kConvergent = 1U << 1U;
constexpr std::uint8_t kExportable = 1U << 2U;
constexpr std::uint8_t kPlaintextBackup = 1U << 3U;
constexpr std::uint8_t kDeletionAllowed = 1U << 4U;
constexpr std::uint8_t kAllFlags = (1U << 5U) - 1;

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

  void Secret(const SecretBytes& secret) {
    Number(secret.size(), 2);
    Raw(secret.View());
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

  Result<SecretBytes> Secret() {
    const std::size_t size = KMS_TRY(Number(2));
    const ByteView bytes = KMS_TRY(Raw(size));
    return SecretBytes::CopyOf(bytes);
  }

  Status Format() {
    const unsigned format = KMS_TRY(Byte());
    if (format == kFormat) {
      return Ok();
    }
    return Corrupted("stored key has format " + std::to_string(format) +
                     ", this program reads format " + std::to_string(kFormat) +
                     ": it was written by another version of the program or is damaged");
  }

  Status End() const {
    return in_.empty() ? Ok() : Status(Corrupted("stored key is damaged", "bytes are left over"));
  }

  [[nodiscard]] std::size_t left() const { return in_.size(); }

 private:
  ByteView in_;
};

std::size_t RecordBytes(const KeyVersion& version) {
  return kFixedRecordBytes + version.material.size() + version.hmac_key.size();
}

void WriteRecord(Writer& writer, const KeyVersion& version) {
  writer.Number(version.number, 4);
  writer.Number(static_cast<std::uint64_t>(version.created.time_since_epoch().count()), 8);
  writer.Secret(version.material);
  writer.Secret(version.hmac_key);
}

Result<KeyVersion> ReadRecord(Reader& reader) {
  KeyVersion version;
  version.number = KMS_TRY(reader.Number32());
  version.created = WallTime(std::chrono::nanoseconds(KMS_TRY(reader.Signed64())));
  version.material = KMS_TRY(reader.Secret());
  version.hmac_key = KMS_TRY(reader.Secret());
  return version;
}

std::uint8_t FlagsOf(const KeyPolicy& policy) {
  const auto flag = [](bool set, std::uint8_t bit) { return set ? bit : std::uint8_t{0}; };
  return static_cast<std::uint8_t>(
      flag(policy.derived, kDerived) | flag(policy.convergent_encryption, kConvergent) |
      flag(policy.exportable, kExportable) | flag(policy.allow_plaintext_backup, kPlaintextBackup) |
      flag(policy.deletion_allowed, kDeletionAllowed));
}

Status ReadFlags(Reader& reader, KeyPolicy& policy) {
  const unsigned flags = KMS_TRY(reader.Byte());
  if ((flags & ~unsigned{kAllFlags}) != 0) {
    return Corrupted("stored key is damaged", "unknown flags");
  }
  policy.derived = (flags & kDerived) != 0;
  policy.convergent_encryption = (flags & kConvergent) != 0;
  policy.exportable = (flags & kExportable) != 0;
  policy.allow_plaintext_backup = (flags & kPlaintextBackup) != 0;
  policy.deletion_allowed = (flags & kDeletionAllowed) != 0;
  return Ok();
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
  return policy;
}

}  // namespace

Result<SecretBytes> Key::Encode() const {
  std::size_t size = kFixedKeyBytes + policy_.name.size();
  for (const KeyVersion& version : versions_) {
    size += RecordBytes(version);
  }
  SecretBytes encoded = KMS_TRY(SecretBytes::OfSize(size));
  Writer writer(encoded.MutableView());
  writer.Number(kFormat, 1);
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
  SecretBytes encoded = KMS_TRY(SecretBytes::OfSize(1 + RecordBytes(version)));
  Writer writer(encoded.MutableView());
  writer.Number(kFormat, 1);
  WriteRecord(writer, version);
  return encoded;
}

Result<KeyVersion> DecodeArchivedVersion(ByteView encoded) {
  Reader reader(encoded);
  KMS_TRY(reader.Format());
  KeyVersion version = KMS_TRY(ReadRecord(reader));
  KMS_TRY(reader.End());
  if (version.number == 0 || version.material.empty() || version.hmac_key.size() != kHmacKeyBytes) {
    return Corrupted("stored key is damaged", "an archived version is incomplete");
  }
  return version;
}

}  // namespace kms
