// SPDX-License-Identifier: Apache-2.0
// The keys that live in a fake token, with the real cryptography of kms/crypto.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "kms/base/random.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/key_agreement.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/crypto/signature.h"
#include "kms/master/resident_key_device.h"

namespace kms::testing {

// Thread rule: any thread.
class FakeResidentKeys {
 public:
  Result<ResidentKeyRecord> Generate(Bytes id, ResidentKeyType type, const std::string& label) {
    const std::lock_guard lock(mutex_);
    if (const auto found = keys_.find(id); found != keys_.end()) {
      return found->second.record;
    }
    FakeKey key;
    key.record = {.id = id,
                  .label = label,
                  .type = type,
                  .token_label = "fake",
                  .token_serial = "0001",
                  .public_key = {}};
    if (const auto algorithm = AsymmetricAlgorithmOf(type)) {
      key.pair = KMS_TRY(AsymmetricKey::Generate(*algorithm));
      key.agrees = IsEcdsa(*algorithm) && makes_agreeing_keys;
      key.record.public_key = KMS_TRY(key.pair->PublicKey());
    } else {
      key.secret = KMS_TRY(SecretBytes::OfSize(32));
      FillRandom(key.secret.MutableView());
      key.record.nonce_bytes = 12;
    }
    return keys_.emplace(std::move(id), std::move(key)).first->second.record;
  }

  Result<ResidentKeyRecord> Find(const std::string& reference) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, key] : keys_) {
      if (key.record.label != reference && "id=" + HexEncode(id) != reference) {
        continue;
      }
      if (key.record.label.starts_with("kms/")) {
        return FailedPrecondition("the key in the HSM belongs to this service");
      }
      return key.record;
    }
    return NotFound("the HSM token has no key \"" + reference + "\"");
  }

  Status Destroy(const Bytes& id, const std::string& label) {
    const std::lock_guard lock(mutex_);
    const auto found = keys_.find(id);
    if (found != keys_.end() && (!found->second.record.label.starts_with(label) ||
                                 !found->second.record.label.starts_with("kms/"))) {
      return FailedPrecondition("the key in the HSM is \"" + found->second.record.label +
                                "\", and one of \"" + label + "\" was to be destroyed");
    }
    keys_.erase(id);
    return Ok();
  }

  Result<Bytes> Sign(const ResidentKeyRecord& record, const ResidentSignRequest& request) {
    const std::lock_guard lock(mutex_);
    const FakeKey* key = KMS_TRY(FindKey(record));
    const bool pss = request.scheme == ResidentSignatureScheme::kRsaPss;
    if (!key->pair ||
        IsEcdsa(key->pair->algorithm()) != (request.scheme == ResidentSignatureScheme::kEcdsa)) {
      return InvalidArgument("the HSM token does not make such signatures with this key");
    }
    return CreateSignature(
        *key->pair,
        {.hash = request.hash,
         .prehashed = true,
         .rsa = pss ? RsaSignatureScheme::kPss : RsaSignatureScheme::kPkcs1v15,
         .salt_length =
             pss && request.salt_bytes != 0 ? std::int64_t{request.salt_bytes} : kPssSaltAuto},
        request.digest);
  }

  Result<SecretBytes> RsaDecrypt(const ResidentKeyRecord& record, std::optional<HashAlgorithm> hash,
                                 ByteView ciphertext) {
    const std::lock_guard lock(mutex_);
    const FakeKey* key = KMS_TRY(FindKey(record));
    if (!key->pair || !IsRsa(key->pair->algorithm())) {
      return InvalidArgument("the HSM token does not open RSA ciphertexts with this key");
    }
    if (hash) {
      return OaepDecrypt(*key->pair, *hash, ciphertext);
    }
    PlaintextBuffer plaintext;
    KMS_TRY(kms::RsaDecrypt(*key->pair, RsaEncryptionPadding::kPkcs1v15, ciphertext, plaintext));
    return SecretBytes::CopyOf(plaintext.View());
  }

  Result<ResidentCiphertext> Encrypt(const ResidentKeyRecord& record, ByteView plaintext,
                                     ByteView aad) {
    const std::lock_guard lock(mutex_);
    const FakeKey* key = KMS_TRY(FindCipher(record));
    if (plaintext.size() + aad.size() > kMaxResidentMessageBytes) {
      return InvalidArgument("the message is too long for a key in an HSM");
    }
    ResidentCiphertext made{.nonce = Bytes(12), .ciphertext = Bytes(plaintext.size() + 16)};
    FillRandom(made.nonce);
    KMS_TRY(Aead::SealOnce(AeadAlgorithm::kAes256Gcm, key->secret.View(), made.nonce, aad,
                           plaintext, made.ciphertext));
    return made;
  }

  Result<SecretBytes> Decrypt(const ResidentKeyRecord& record, const ResidentCiphertext& sealed,
                              ByteView aad) {
    const std::lock_guard lock(mutex_);
    const FakeKey* key = KMS_TRY(FindCipher(record));
    if (sealed.nonce.size() != 12 || sealed.ciphertext.size() < 16) {
      return DoesNotOpen();
    }
    SecretBytes plaintext = KMS_TRY(SecretBytes::OfSize(sealed.ciphertext.size() - 16));
    const Status opened =
        Aead::OpenOnce(AeadAlgorithm::kAes256Gcm, key->secret.View(), sealed.nonce, aad,
                       sealed.ciphertext, plaintext.MutableView());
    return opened.has_value() ? Result<SecretBytes>(std::move(plaintext)) : DoesNotOpen();
  }

  Result<SecretBytes> Agree(const ResidentKeyRecord& record, ByteView peer_public_key) {
    const std::lock_guard lock(mutex_);
    const FakeKey* key = KMS_TRY(FindKey(record));
    if (!key->agrees) {
      return InvalidArgument("the key in the HSM was made without key agreement");
    }
    const AsymmetricKey peer =
        KMS_TRY(AsymmetricKey::FromPublicKey(key->pair->algorithm(), peer_public_key));
    return internal::EcdhSharedSecret(*key->pair, peer);
  }

  // Whether EC keys made from now on agree.
  std::atomic<bool> makes_agreeing_keys = true;

  // How many there are, external ones included.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return keys_.size();
  }

 private:
  struct FakeKey {
    ResidentKeyRecord record;
    SecretBytes secret;
    std::optional<AsymmetricKey> pair;
    bool agrees = false;
  };

  static Error DoesNotOpen() {
    return MakeError(ErrorCode::kDecryptionFailed, "the HSM does not open the ciphertext", {});
  }

  // The mutex is held.
  Result<const FakeKey*> FindKey(const ResidentKeyRecord& record) const {
    const auto found = keys_.find(record.id);
    if (found == keys_.end()) {
      return FailedPrecondition("the HSM token has no key \"" + record.label + "\"");
    }
    if (!(found->second.record == record)) {
      return Corrupted("the key in the HSM is not the recorded one");
    }
    return &found->second;
  }
  Result<const FakeKey*> FindCipher(const ResidentKeyRecord& record) const {
    const FakeKey* key = KMS_TRY(FindKey(record));
    return key->pair ? InvalidArgument("the key in the HSM is no AES key")
                     : Result<const FakeKey*>(key);
  }

  mutable std::mutex mutex_;
  std::map<Bytes, FakeKey> keys_;  // guarded by mutex_
};

}  // namespace kms::testing
