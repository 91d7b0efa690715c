// SPDX-License-Identifier: Apache-2.0
// The record at "identity/token-key", format 1:
//
//   'K' | 1 | secret of tokens(32) | secret of entities(32)
//
//   batch key = HKDF-SHA-256(secret of tokens, "", "kms batch tokens v1"), 32 bytes
#include "kms/identity/token_key.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/random.h"
#include "kms/base/record_codec.h"
#include "kms/crypto/hkdf.h"

namespace kms {

namespace {

constexpr std::string_view kPath = "identity/token-key";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kHeadBytes = 2;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kBlockBytes = 64;  // of SHA-256
constexpr std::uint8_t kInnerPad = 0x36;
constexpr std::uint8_t kOuterPad = 0x5c;
constexpr int kAttempts = 4;

Result<SecretBytes> FreshRecord() {
  SecretBytes record = KMS_TRY(SecretBytes::OfSize(kHeadBytes + 2 * kSecretBytes));
  const MutableByteView bytes = record.MutableView();
  bytes[0] = 'K';
  bytes[1] = kFormat;
  FillRandom(bytes.subspan(kHeadBytes));
  return record;
}

// The first block of HMAC's inner hash, then that of its outer one: made once, since each use of a
// keyed context costs more than the hash itself.
Result<SecretBytes> PadsOf(ByteView key) {
  SecretBytes pads = KMS_TRY(SecretBytes::OfSize(2 * kBlockBytes));
  const MutableByteView inner = pads.MutableView().first(kBlockBytes);
  const MutableByteView outer = pads.MutableView().last(kBlockBytes);
  std::ranges::copy(key, inner.begin());
  std::ranges::copy(key, outer.begin());
  for (std::size_t index = 0; index < kBlockBytes; ++index) {
    inner[index] ^= kInnerPad;
    outer[index] ^= kOuterPad;
  }
  return pads;
}

Sha256Digest Hmac(ByteView pads, ByteView message) {
  const Sha256Digest inner = Sha256({pads.first(kBlockBytes), message});
  return Sha256({pads.last(kBlockBytes), inner});
}

Result<TokenKey> Decode(ByteView record) {
  RecordReader reader(record);
  reader.GetHead('K', kFormat);
  const ByteView of_tokens = reader.GetRaw(kSecretBytes);
  const ByteView of_entities = reader.GetRaw(kSecretBytes);
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "token key record");
  }
  return TokenKey::FromSecrets(of_tokens, of_entities);
}

}  // namespace

Result<TokenKey> TokenKey::Load(SealedStore& sys) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(kPath));
    if (entry) {
      return Decode(entry->value.View());
    }
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = std::string(kPath),
                         .value = KMS_TRY(FreshRecord()),
                         .expected_revision = Revision{0}});
    // Whatever the outcome, the next read says which key is the one.
    const Result<Revision> committed = sys.Commit(std::move(mutations));
    if (!committed.has_value() && committed.error().code != ErrorCode::kConflict &&
        committed.error().code != ErrorCode::kOutcomeUnknown) {
      return committed.error();
    }
  }
  return Unavailable("the token key could not be stored");
}

Status TokenKey::Replace(SealedStore& sys) {
  std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(kPath));
  if (!entry) {
    return Ok();
  }
  KMS_TRY(Decode(entry->value.View()));
  FillRandom(entry->value.MutableView().subspan(kHeadBytes, kSecretBytes));
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = std::string(kPath),
                       .value = std::move(entry->value),
                       .expected_revision = entry->revision});
  KMS_TRY(sys.Commit(std::move(mutations)));
  return Ok();
}

Result<TokenKey> TokenKey::FromSecrets(ByteView of_tokens, ByteView of_entities) {
  if (of_tokens.size() != kSecretBytes || of_entities.size() != kSecretBytes) {
    return InvalidArgument("a token key has two secrets of 32 bytes");
  }
  TokenKey key;
  key.token_pads_ = KMS_TRY(PadsOf(of_tokens));
  key.batch_key_ = KMS_TRY(HkdfSha256(of_tokens, {}, AsBytes("kms batch tokens v1"), kSecretBytes));
  key.entity_pads_ = KMS_TRY(PadsOf(of_entities));
  return key;
}

Sha256Digest TokenKey::HashOf(std::string_view token) const {
  return Hmac(token_pads_.View(), AsBytes(token));
}

std::string TokenKey::EntityId(std::string_view mount_accessor, std::string_view alias) const {
  RecordWriter message;
  message.PutText(mount_accessor);
  message.PutText(alias);
  Sha256Digest mac = Hmac(entity_pads_.View(), message.Take());
  constexpr std::uint8_t kVersion8 = 0x80;
  constexpr std::uint8_t kVariant = 0x80;
  mac[6] = static_cast<std::uint8_t>((mac[6] & 0x0FU) | kVersion8);
  mac[8] = static_cast<std::uint8_t>((mac[8] & 0x3FU) | kVariant);
  const Result<Uuid> id = Uuid::FromBytes(ByteView{mac}.first(Uuid::kBytes));
  return id.has_value() ? id->ToString() : std::string{};
}

}  // namespace kms
