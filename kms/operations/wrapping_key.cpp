// SPDX-License-Identifier: Apache-2.0
// One entry per environment, sealed, at "import/wrapping-key":
//
//   'X' | format(1) | place(1) | payload
//     place 1: an ImportKeyRecord in its own form; the key is in the HSM
//     place 2: PrivateKeyInfo (RFC 5958), DER
#include "kms/operations/wrapping_key.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <variant>

#include "kms/base/digest.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/rsa_encryption.h"

namespace kms {

namespace {

constexpr std::string_view kPath = "import/wrapping-key";
constexpr std::uint8_t kKind = 'X';
constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kInHsm = 1;
constexpr std::uint8_t kInStore = 2;
constexpr std::size_t kHeadBytes = 3;

// RSA-4096 takes a software token a second or two, and ten when it is unlucky.
constexpr std::chrono::seconds kMakingTimeout{60};
constexpr std::chrono::seconds kOpeningTimeout{5};

using WrappingKey = std::variant<ImportKeyRecord, AsymmetricKey>;

Error DoesNotOpen() { return InvalidArgument("crypto/rsa: decryption error"); }

Error Damaged(std::string how) {
  return Corrupted("damaged wrapping key: " + std::move(how) + "; restore the store from a backup");
}

Result<SecretBytes> EncodeEntry(std::uint8_t place, ByteView payload) {
  SecretBytes entry = KMS_TRY(SecretBytes::OfSize(kHeadBytes + payload.size()));
  const MutableByteView out = entry.MutableView();
  out[0] = kKind;
  out[1] = kFormat;
  out[2] = place;
  std::ranges::copy(payload, out.begin() + kHeadBytes);
  return entry;
}

Result<SecretBytes> Encode(const WrappingKey& key) {
  if (const auto* const record = std::get_if<ImportKeyRecord>(&key)) {
    return EncodeEntry(kInHsm, record->Encode());
  }
  const SecretBytes pkcs8 = KMS_TRY(std::get<AsymmetricKey>(key).ToPkcs8());
  return EncodeEntry(kInStore, pkcs8.View());
}

Result<WrappingKey> Decode(ByteView entry) {
  if (entry.size() < kHeadBytes || entry[0] != kKind) {
    return Damaged("not one of ours");
  }
  if (entry[1] != kFormat) {
    return Damaged("format " + std::to_string(entry[1]) + " is unknown, this release reads " +
                   std::to_string(kFormat));
  }
  const ByteView payload = entry.subspan(kHeadBytes);
  if (entry[2] == kInHsm) {
    return WrappingKey(KMS_TRY(ImportKeyRecord::Decode(payload)));
  }
  if (entry[2] != kInStore) {
    return Damaged("unknown place " + std::to_string(entry[2]));
  }
  auto key = AsymmetricKey::FromPkcs8(AsymmetricAlgorithm::kRsa4096, payload);
  if (!key.has_value()) {
    return Damaged("no RSA-4096 key");
  }
  return WrappingKey(*std::move(key));
}

Result<std::optional<WrappingKey>> Load(Environment& environment) {
  const std::optional<OpenedEntry> entry = KMS_TRY(environment.store().Get(kPath));
  if (!entry) {
    return std::optional<WrappingKey>{};
  }
  return std::optional<WrappingKey>{KMS_TRY(Decode(entry->value.View()))};
}

Result<Bytes> PublicKeyOf(const WrappingKey& key) {
  if (const auto* const record = std::get_if<ImportKeyRecord>(&key)) {
    return record->public_key;
  }
  return std::get<AsymmetricKey>(key).PublicKey();
}

Result<WrappingKey> Make(Environment& environment, MasterKeyDevice& device) {
  const EnvironmentIdentity& identity = environment.identity();
  auto record = KMS_TRY(device.GenerateImportKey(WrappingKeyId(identity.id),
                                                 WrappingKeyLabel(identity.name),
                                                 environment.clock().SteadyNow() + kMakingTimeout));
  if (record) {
    return WrappingKey(*std::move(record));
  }
  return WrappingKey(KMS_TRY(AsymmetricKey::Generate(AsymmetricAlgorithm::kRsa4096)));
}

// Of two that are stored at once, by two processes, the first one is the key.
Result<WrappingKey> Keep(Environment& environment, WrappingKey key) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = std::string(kPath),
                       .value = KMS_TRY(Encode(key)),
                       .expected_revision = 0});
  const Result<Revision> committed = environment.store().Commit(std::move(mutations));
  if (committed.has_value()) {
    return key;
  }
  if (committed.error().code != ErrorCode::kConflict &&
      committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  auto stored = KMS_TRY(Load(environment));
  if (!stored) {
    return Unavailable("storage failed, nothing was changed", committed.error().detail);
  }
  return *std::move(stored);
}

}  // namespace

Uuid WrappingKeyId(const Uuid& environment_id) {
  const Sha256Digest digest = Sha256({AsBytes("kms wrapping key 1"), environment_id.View()});
  return Uuid::FromBytes(ByteView(digest).first(Uuid::kBytes)).value_or(Uuid());
}

std::string WrappingKeyLabel(std::string_view environment) {
  return "kms/" + std::string(environment) + "/import";
}

Result<Bytes> WrappingPublicKey(Environment& environment, MasterKeyDevice& device) {
  const auto stored = KMS_TRY(Load(environment));
  if (stored) {
    return PublicKeyOf(*stored);
  }
  const std::unique_lock making(environment.wrapping_key_mutex(), kMakingTimeout);
  if (!making.owns_lock()) {
    return Unavailable("the wrapping key is being made; retry in a few seconds");
  }
  const auto made_by_another = KMS_TRY(Load(environment));
  if (made_by_another) {
    return PublicKeyOf(*made_by_another);
  }
  WrappingKey made = KMS_TRY(Make(environment, device));
  const WrappingKey kept = KMS_TRY(Keep(environment, std::move(made)));
  return PublicKeyOf(kept);
}

Result<SecretBytes> DecryptUnderWrappingKey(Environment& environment, MasterKeyDevice& device,
                                            HashAlgorithm hash, ByteView ciphertext) {
  const auto key = KMS_TRY(Load(environment));
  if (!key) {
    return DoesNotOpen();
  }
  if (const auto* const record = std::get_if<ImportKeyRecord>(&*key)) {
    return device.DecryptImport(*record, hash, ciphertext,
                                environment.clock().SteadyNow() + kOpeningTimeout);
  }
  auto opened = OaepDecrypt(std::get<AsymmetricKey>(*key), hash, ciphertext);
  if (!opened.has_value() && opened.error().code == ErrorCode::kDecryptionFailed) {
    return DoesNotOpen();
  }
  return opened;
}

Result<std::optional<ImportKeyRecord>> FindWrappingKeyRecord(Environment& environment) {
  const auto key = KMS_TRY(Load(environment));
  const auto* const record = key ? std::get_if<ImportKeyRecord>(&*key) : nullptr;
  return record == nullptr ? std::optional<ImportKeyRecord>{} : std::optional(*record);
}

Status ForgetWrappingKey(Environment& environment) {
  const std::unique_lock making(environment.wrapping_key_mutex(), std::try_to_lock);
  if (!making.owns_lock()) {
    return Unavailable("the wrapping key is being made; retry in a few seconds");
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = std::string(kPath),
                       .value = std::nullopt,
                       .expected_revision = std::nullopt});
  KMS_TRY(environment.store().Commit(std::move(mutations)));
  return Ok();
}

Result<std::optional<WrappingKeyPlace>> FindWrappingKeyPlace(Environment& environment) {
  const auto key = KMS_TRY(Load(environment));
  if (!key) {
    return std::optional<WrappingKeyPlace>{};
  }
  return std::optional{std::holds_alternative<ImportKeyRecord>(*key)
                           ? WrappingKeyPlace::kHsm
                           : WrappingKeyPlace::kSealedStore};
}

}  // namespace kms
