// SPDX-License-Identifier: Apache-2.0
// One sealed entry, format 1 (numbers big-endian):
//
//   format(1) | environment key version(4) | salt(32) | nonce(12) | ciphertext | tag(16)
//   `-------------------- head -------------------'
//
//   subkey = HKDF-SHA-256(environment key, salt, "kms sealed entry v1"), 32 bytes
//   AAD    = head | environment id(16) | path within the environment
#include "kms/master/sealed_store.h"

#include <algorithm>
#include <utility>

#include "kms/base/random.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/nonce.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kVersionBytes = 4;
constexpr std::size_t kSaltBytes = 32;
constexpr std::size_t kHeadBytes = 1 + kVersionBytes + kSaltBytes;
constexpr std::size_t kOverheadBytes = kHeadBytes + kAeadNonceBytes + kAeadTagBytes;
constexpr AeadAlgorithm kAlgorithm = AeadAlgorithm::kAes256Gcm;

Error Damaged(std::string detail) { return Corrupted("damaged entry", std::move(detail)); }

void PutVersion(EnvironmentKeyVersion version, MutableByteView out) {
  for (std::size_t index = 0; index < kVersionBytes; ++index) {
    out[index] = static_cast<std::uint8_t>(version >> (24 - 8 * index));
  }
}

EnvironmentKeyVersion GetVersion(ByteView in) {
  EnvironmentKeyVersion version = 0;
  for (const std::uint8_t byte : in.first(kVersionBytes)) {
    version = version << 8U | byte;
  }
  return version;
}

Result<Aead> EntryCipher(const SecretBytes& environment_key, ByteView salt) {
  const SecretBytes subkey = KMS_TRY(HkdfSha256(environment_key.View(), salt,
                                                AsBytes("kms sealed entry v1"),
                                                AeadKeyBytes(kAlgorithm)));
  return Aead::Create(kAlgorithm, subkey.View());
}

}  // namespace

SealedStore::SealedStore(Store& store, const EnvironmentKeyring& keys, const Uuid& environment_id)
    : store_(store),
      keys_(keys),
      environment_id_(environment_id),
      prefix_("e/" + environment_id.ToString() + "/") {}

Result<std::optional<OpenedEntry>> SealedStore::Get(std::string_view path) {
  const std::optional<StoredValue> stored = KMS_TRY(store_.Get(prefix_ + std::string(path)));
  if (!stored) {
    // A sealed environment says so even of what does not exist.
    KMS_TRY(keys_.Latest());
    return std::optional<OpenedEntry>{};
  }
  SecretBytes value = KMS_TRY(OpenEntry(path, stored->value));
  return std::optional<OpenedEntry>{{.value = std::move(value), .revision = stored->revision}};
}

Result<std::vector<ListedEntry>> SealedStore::List(std::string_view prefix, std::string_view after,
                                                   std::size_t limit) {
  KMS_TRY(keys_.Latest());
  const std::string stored_after = after.empty() ? std::string{} : prefix_ + std::string(after);
  std::vector<ListedEntry> entries =
      KMS_TRY(store_.List(prefix_ + std::string(prefix), stored_after, limit));
  for (ListedEntry& entry : entries) {
    entry.path.erase(0, prefix_.size());
  }
  return entries;
}

Result<Revision> SealedStore::Commit(std::vector<SealedMutation> mutations) {
  const std::vector<Mutation> sealed = KMS_TRY(Seal(mutations));
  return store_.Commit(sealed);
}

Result<std::vector<Mutation>> SealedStore::Seal(
    const std::vector<SealedMutation>& mutations) const {
  KMS_TRY(keys_.Latest());
  std::vector<Mutation> sealed;
  sealed.reserve(mutations.size());
  for (const SealedMutation& mutation : mutations) {
    Mutation stored{.path = prefix_ + mutation.path,
                    .value = std::nullopt,
                    .expected_revision = mutation.expected_revision};
    if (mutation.value) {
      stored.value = KMS_TRY(SealEntry(mutation.path, *mutation.value));
    }
    sealed.push_back(std::move(stored));
  }
  return sealed;
}

Result<Bytes> SealedStore::SealEntry(std::string_view path, const SecretBytes& value) const {
  const EnvironmentKeyVersion version = KMS_TRY(keys_.Latest());
  const SecretBytes environment_key = KMS_TRY(keys_.Find(version));
  Bytes sealed(kOverheadBytes + value.size());
  const MutableByteView all{sealed};
  const MutableByteView head = all.first(kHeadBytes);
  const MutableByteView nonce = all.subspan(kHeadBytes, kAeadNonceBytes);
  head[0] = kFormat;
  PutVersion(version, head.subspan(1));
  FillRandom(head.last(kSaltBytes));
  const Bytes associated_data = AssociatedData(head, path);
  FillHedgedNonce(nonce, value.View(), associated_data);
  const Aead cipher = KMS_TRY(EntryCipher(environment_key, head.last(kSaltBytes)));
  KMS_TRY(cipher.Seal(nonce, associated_data, value.View(),
                      all.subspan(kHeadBytes + kAeadNonceBytes)));
  return sealed;
}

Result<SecretBytes> SealedStore::OpenEntry(std::string_view path, ByteView sealed) const {
  KMS_TRY(keys_.Latest());
  if (sealed.size() < kOverheadBytes) {
    return Damaged("shorter than an empty entry");
  }
  if (sealed[0] != kFormat) {
    return Corrupted("damaged entry: format " + std::to_string(sealed[0]) +
                     " is unknown, this release reads format " + std::to_string(kFormat));
  }
  const ByteView head = sealed.first(kHeadBytes);
  const SecretBytes environment_key = KMS_TRY(keys_.Find(GetVersion(head.subspan(1))));
  const Aead cipher = KMS_TRY(EntryCipher(environment_key, head.last(kSaltBytes)));
  SecretBytes value = KMS_TRY(SecretBytes::OfSize(sealed.size() - kOverheadBytes));
  const Status opened = cipher.Open(sealed.subspan(kHeadBytes, kAeadNonceBytes),
                                    AssociatedData(head, path),
                                    sealed.subspan(kHeadBytes + kAeadNonceBytes),
                                    value.MutableView());
  if (!opened.has_value()) {
    return opened.error().code == ErrorCode::kDecryptionFailed
               ? Damaged("does not authenticate: " + prefix_ + std::string(path))
               : opened.error();
  }
  return value;
}

Bytes SealedStore::AssociatedData(ByteView head, std::string_view path) const {
  Bytes data;
  data.reserve(head.size() + Uuid::kBytes + path.size());
  for (const ByteView part : {head, environment_id_.View(), AsBytes(path)}) {
    data.insert(data.end(), part.begin(), part.end());
  }
  return data;
}

}  // namespace kms
