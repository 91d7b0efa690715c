// SPDX-License-Identifier: Apache-2.0
// A stored sum, format 1 (numbers big-endian):
//
//   format(1) | revision(8) | count(8) | nonce(16) | masked sum(32) | MAC(32)
//
//   keys   = HKDF-SHA-256(key, "", "kms set digest entries v1" and "kms set digest sums v1")
//   entry  = HMAC(entries, length of path(4) | path | revision(8) | value), big-endian
//   masked = sum xor HMAC(sums, "mask" | nonce | revision)
//   MAC    = HMAC(sums, "row" | length of directory(4) | directory | everything before it)
//   tag    = the first 16 bytes of HMAC(sums, "tag" | revision | count | sum)
#include "kms/store/set_digest.h"

#include <algorithm>
#include <utility>

#include "kms/base/digest.h"
#include "kms/base/random.h"
#include "kms/base/record_codec.h"
#include "kms/crypto/hkdf.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kNonceBytes = 16;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kSumBytes = 32;
constexpr std::size_t kHeadBytes = 1 + 8 + 8 + kNonceBytes + kSumBytes;

Result<HmacSha256> DeriveKey(const SecretBytes& key, std::string_view purpose) {
  const SecretBytes derived = KMS_TRY(HkdfSha256(key.View(), {}, AsBytes(purpose), 32));
  return HmacSha256::Create(derived.View());
}

Bytes Number(std::uint64_t value) {
  RecordWriter writer;
  writer.Put(value);
  return writer.Take();
}

Bytes Length(std::string_view text) {
  RecordWriter writer;
  writer.Put(static_cast<std::uint32_t>(text.size()));
  return writer.Take();
}

EntrySum FromDigest(ByteView digest) {
  EntrySum sum{.count = 1, .sum = {}};
  for (std::size_t index = 0; index < digest.size(); ++index) {
    std::uint64_t& limb = sum.sum[3 - index / 8];
    limb = limb << 8U | digest[index];
  }
  return sum;
}

Bytes ToBytes(const EntrySum& sum) {
  RecordWriter writer;
  for (std::size_t limb = sum.sum.size(); limb-- > 0;) {
    writer.Put(sum.sum[limb]);
  }
  return writer.Take();
}

}  // namespace

EntrySum& EntrySum::operator+=(const EntrySum& other) {
  bool carry = false;
  for (std::size_t limb = 0; limb < sum.size(); ++limb) {
    const bool first = __builtin_add_overflow(sum[limb], other.sum[limb], &sum[limb]);
    const bool second = __builtin_add_overflow(sum[limb], std::uint64_t{carry}, &sum[limb]);
    carry = first || second;
  }
  count += other.count;
  return *this;
}

EntrySum& EntrySum::operator-=(const EntrySum& other) {
  bool borrow = false;
  for (std::size_t limb = 0; limb < sum.size(); ++limb) {
    const bool first = __builtin_sub_overflow(sum[limb], other.sum[limb], &sum[limb]);
    const bool second = __builtin_sub_overflow(sum[limb], std::uint64_t{borrow}, &sum[limb]);
    borrow = first || second;
  }
  count -= other.count;
  return *this;
}

Result<SetDigest> SetDigest::Create(const SecretBytes& key) {
  if (key.size() != kKeyBytes) {
    return InvalidArgument("a digest key has 32 bytes");
  }
  HmacSha256 entries = KMS_TRY(DeriveKey(key, "kms set digest entries v1"));
  HmacSha256 sums = KMS_TRY(DeriveKey(key, "kms set digest sums v1"));
  return SetDigest(std::move(entries), std::move(sums));
}

std::string SetDigest::DirectoryOf(std::string_view path) {
  std::size_t end = 0;
  for (int segments = 0; segments < 3 && end != std::string_view::npos; ++segments) {
    end = path.find('/', segments == 0 ? 0 : end + 1);
  }
  return std::string(path.substr(0, end));
}

Result<EntrySum> SetDigest::SumOf(std::string_view path, ByteView value, Revision revision) {
  Sha256Digest digest{};
  KMS_TRY(entries_.Compute({Length(path), AsBytes(path), Number(revision), value}, digest));
  return FromDigest(digest);
}

Status SetDigest::Mask(MutableByteView sum, ByteView nonce, ByteView revision) {
  Sha256Digest mask{};
  KMS_TRY(sums_.Compute({AsBytes("mask"), nonce, revision}, mask));
  for (std::size_t index = 0; index < sum.size(); ++index) {
    sum[index] ^= mask[index];
  }
  return Ok();
}

Result<Bytes> SetDigest::SealSum(std::string_view directory, const EntrySum& sum,
                                 Revision revision) {
  Bytes nonce(kNonceBytes);
  FillRandom(nonce);
  Bytes masked = ToBytes(sum);
  KMS_TRY(Mask(masked, nonce, Number(revision)));
  RecordWriter writer;
  writer.Put(kFormat);
  writer.Put(revision);
  writer.Put(sum.count);
  writer.PutRaw(nonce);
  writer.PutRaw(masked);
  Bytes row = writer.Take();
  Sha256Digest mac{};
  KMS_TRY(sums_.Compute({AsBytes("row"), Length(directory), AsBytes(directory), row}, mac));
  row.insert(row.end(), mac.begin(), mac.end());
  return row;
}

Result<SetDigest::OpenedSum> SetDigest::OpenSum(std::string_view directory, ByteView stored) {
  const Error damaged = Corrupted("the digest of the store's entries is damaged");
  if (stored.size() != kHeadBytes + kSha256Bytes || stored[0] != kFormat) {
    return damaged;
  }
  const ByteView head = stored.first(kHeadBytes);
  Sha256Digest mac{};
  KMS_TRY(sums_.Compute({AsBytes("row"), Length(directory), AsBytes(directory), head}, mac));
  if (!EqualInConstantTime(mac, stored.subspan(kHeadBytes))) {
    return damaged;
  }
  RecordReader reader(head.subspan(1));
  OpenedSum opened;
  opened.revision = reader.Get<Revision>();
  const auto count = reader.Get<std::uint64_t>();
  const ByteView nonce = reader.GetRaw(kNonceBytes);
  Bytes sum = CopyOf(reader.GetRaw(kSumBytes));
  KMS_TRY(Mask(sum, nonce, Number(opened.revision)));
  opened.sum = FromDigest(sum);
  opened.sum.count = count;
  return opened;
}

Result<std::string> SetDigest::Tag(const EntrySum& sum, Revision revision) {
  Sha256Digest tag{};
  KMS_TRY(sums_.Compute({AsBytes("tag"), Number(revision), Number(sum.count), ToBytes(sum)}, tag));
  return HexEncode(ByteView(tag).first(kTagBytes));
}

}  // namespace kms
