// SPDX-License-Identifier: Apache-2.0
// MessageCipher: what seals and opens one message under one key version.
#pragma once

#include <cstddef>
#include <utility>
#include <variant>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/derived_cipher.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/keys/key.h"

namespace kms {

class ResidentKeys;

// What goes with a message beside its key version: the same to encrypt and to decrypt.
struct MessageBinding {
  ByteView associated_data = {};  // AEAD keys only
  ByteView context = {};          // derived keys need it, others ignore it
  RsaEncryptionPadding padding = RsaEncryptionPadding::kOaep;  // RSA keys only
};

// Whether keys of this type do it at all. Errors: kInvalidArgument "message encryption not
// supported for key type T", "message decryption not supported for key type T".
Status CheckEncrypts(const Key& key);
Status CheckDecrypts(const Key& key);

// One of four: the prepared cipher of the version, the cipher that a derived key has for the
// caller's context, the version's RSA key, or a cipher that lives in an HSM.
// Thread rule: like a plain value. The key and what the binding points to must outlive it.
class MessageCipher {
 public:
  // For a key that passed CheckEncrypts or CheckDecrypts. Errors: kInvalidArgument "no such key
  // version", "'associated_data' provided for non-AEAD cipher suite T", and as
  // DerivedCipher::Derive.
  static Result<MessageCipher> Choose(const Key& key, KeyVersionNumber version,
                                      const MessageBinding& binding);

  // Bytes of the payload that a message of `plaintext_bytes` becomes.
  [[nodiscard]] std::size_t PayloadBytes(std::size_t plaintext_bytes) const;

  // Writes nonce || ciphertext || tag (transit-api 5.2) or an RSA ciphertext (5.3) to `payload`,
  // which has PayloadBytes. Errors: as Aead::Seal, RsaEncrypt and ResidentKeys.
  Status Seal(ByteView plaintext, MutableByteView payload) const;

  // Errors: kInvalidArgument "invalid ciphertext length"; as Aead::Open and RsaDecrypt; of a key in
  // an HSM also those of ResidentKeys; `plaintext` is empty then.
  Status Open(ByteView payload, PlaintextBuffer& plaintext) const;

 private:
  // What is done in an HSM; `where` is nullptr for what is not.
  struct InHsm {
    const ResidentKeys* keys = nullptr;
    const ResidentVersion* where = nullptr;
  };
  struct RsaKey {
    const AsymmetricKey* key;
    RsaEncryptionPadding padding;
    InHsm private_half;
  };
  using Choice = std::variant<const Aead*, DerivedCipher, RsaKey, InHsm>;

  MessageCipher(Choice choice, AeadAlgorithm algorithm, ByteView associated_data)
      : choice_(std::move(choice)),
        nonce_bytes_(AeadNonceBytes(algorithm)),
        associated_data_(associated_data) {}
  static Result<MessageCipher> ChooseRsa(const Key& key, KeyVersionNumber version,
                                         const MessageBinding& binding);
  static Result<InHsm> FindInHsm(const Key& key, KeyVersionNumber version);
  Status SealInHsm(const InHsm& cipher, ByteView plaintext, MutableByteView payload) const;
  Status OpenInHsm(const InHsm& cipher, ByteView payload, PlaintextBuffer& plaintext) const;
  static Status OpenRsa(const RsaKey& rsa, ByteView payload, PlaintextBuffer& plaintext);
  Status OpenAead(ByteView payload, PlaintextBuffer& plaintext) const;

  Choice choice_;
  std::size_t nonce_bytes_;  // of an AEAD
  ByteView associated_data_;
};

}  // namespace kms
