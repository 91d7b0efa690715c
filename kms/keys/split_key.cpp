// SPDX-License-Identifier: Apache-2.0
// The stored form of a SplitKey, format 1. Numbers are big-endian; text(n) and bytes(n) are a
// 4-byte length and that many bytes.
//
//   'Q' | format(1) | environment id(16) | environment text(n) | version(4) | split id(16)
//   | threshold(1) | check(32) | shares(1)
//   | per share: number(1) | holder text(n) | check(32) | encrypted bytes(n)
//
// Contexts are a label, then the fields, each text with its length.
#include "kms/keys/split_key.h"

#include <algorithm>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/shamir.h"

namespace kms {

namespace {

constexpr char kKind = 'Q';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "recovery shares";
constexpr std::size_t kMaxHolderName = 64;

void PutSplit(const SplitKey& split, RecordWriter& writer) {
  writer.PutRaw(split.environment_id.View());
  writer.PutText(split.environment);
  writer.Put(split.version);
  writer.PutRaw(split.split_id.View());
  writer.Put(split.threshold);
}

Bytes Context(std::string_view label, const SplitKey& split, std::uint8_t number,
              std::string_view holder, ByteView more = {}) {
  RecordWriter writer;
  writer.PutText(label);
  PutSplit(split, writer);
  writer.Put(number);
  writer.PutText(holder);
  writer.PutSized(more);
  return writer.Take();
}

Result<Bytes> Check(const SecretBytes& value, const Bytes& context) {
  const SecretBytes check = KMS_TRY(HkdfSha256(value.View(), {}, context, kSplitCheckBytes));
  return CopyOf(check.View());
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '@' || c == '-';
}

Status CheckSplit(const SplitKey& split) {
  if (split.shares.empty() || split.shares.size() > kMaxSecretShares || split.threshold == 0 ||
      split.threshold > split.shares.size() || split.check.size() != kSplitCheckBytes) {
    return DamagedRecord(kWhat, "wrong numbers");
  }
  std::uint64_t seen = 0;
  for (const EncryptedShare& share : split.shares) {
    const std::uint64_t bit = std::uint64_t{1} << (share.number & 63U);
    if (share.number == 0 || share.number > kMaxSecretShares || (seen & bit) != 0 ||
        share.check.size() != kSplitCheckBytes || !CheckHolderName(share.holder).has_value()) {
      return DamagedRecord(kWhat, "a share that cannot be");
    }
    seen |= bit;
  }
  return Ok();
}

}  // namespace

const EncryptedShare* SplitKey::Find(std::uint8_t number) const {
  const auto found = std::ranges::find(shares, number, &EncryptedShare::number);
  return found == shares.end() ? nullptr : &*found;
}

Bytes SplitKey::Encode() const {
  RecordWriter writer(kKind, kFormat);
  PutSplit(*this, writer);
  writer.PutRaw(check);
  writer.Put(static_cast<std::uint8_t>(shares.size()));
  for (const EncryptedShare& share : shares) {
    writer.Put(share.number);
    writer.PutText(share.holder);
    writer.PutRaw(share.check);
    writer.PutSized(share.encrypted);
  }
  return writer.Take();
}

Result<SplitKey> SplitKey::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  SplitKey split;
  split.environment_id = reader.GetUuid();
  split.environment = reader.GetText();
  split.version = reader.Get<std::uint32_t>();
  split.split_id = reader.GetUuid();
  split.threshold = reader.Get<std::uint8_t>();
  split.check = CopyOf(reader.GetRaw(kSplitCheckBytes));
  const auto count = reader.Get<std::uint8_t>();
  for (std::size_t index = 0; index < count && !reader.failed(); ++index) {
    EncryptedShare share;
    share.number = reader.Get<std::uint8_t>();
    share.holder = reader.GetText();
    share.check = CopyOf(reader.GetRaw(kSplitCheckBytes));
    share.encrypted = CopyOf(reader.GetSized());
    split.shares.push_back(std::move(share));
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "wrong length");
  }
  KMS_TRY(CheckSplit(split));
  return split;
}

Status CheckHolderName(std::string_view name) {
  if (name.empty() || name.size() > kMaxHolderName || !std::ranges::all_of(name, IsNameCharacter)) {
    return InvalidArgument("a holder's name has 1 to 64 letters, digits or . _ @ -");
  }
  return Ok();
}

Bytes ShareContext(const SplitKey& split, std::uint8_t number, std::string_view holder) {
  return Context("kms recovery share v1", split, number, holder);
}

Bytes AnswerContext(const Uuid& ceremony, const SplitKey& split, std::uint8_t number,
                    std::string_view holder) {
  return Context("kms recovery answer v1", split, number, holder, ceremony.View());
}

Result<Bytes> ShareCheck(const SplitKey& split, std::uint8_t number, const SecretBytes& value) {
  return Check(value, Context("kms recovery share check v1", split, number, {}));
}

Result<Bytes> SplitKeyCheck(const SplitKey& split, const SecretBytes& key) {
  return Check(key, Context("kms recovery key check v1", split, 0, {}));
}

}  // namespace kms
