// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/message_cipher.h"

#include <string>

#include "kms/crypto/nonce.h"

namespace kms {

namespace {

std::string TypeNameOf(const Key& key) { return std::string(TraitsOf(key.policy().type).name); }

Error NoSuchVersion() { return InvalidArgument("no such key version"); }

}  // namespace

Status CheckEncrypts(const Key& key) {
  if (TraitsOf(key.policy().type).supports_encryption) [[likely]] {
    return Ok();
  }
  return InvalidArgument("message encryption not supported for key type " + TypeNameOf(key));
}

Status CheckDecrypts(const Key& key) {
  if (TraitsOf(key.policy().type).supports_decryption) [[likely]] {
    return Ok();
  }
  return InvalidArgument("message decryption not supported for key type " + TypeNameOf(key));
}

Result<MessageCipher> MessageCipher::Choose(const Key& key, KeyVersionNumber version,
                                            const MessageBinding& binding) {
  const KeyPolicy& policy = key.policy();
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  if (const Aead* prepared = key.FindAead(version); prepared != nullptr) [[likely]] {
    return MessageCipher(prepared, traits.aead, binding.associated_data);
  }
  if (traits.family == KeyFamily::kRsa) {
    return ChooseRsa(key, version, binding);
  }
  const KeyVersion* found = key.FindVersion(version);
  if (found == nullptr || !policy.derived || traits.family != KeyFamily::kAead) {
    return NoSuchVersion();
  }
  const NonceChoice nonces =
      policy.convergent_encryption ? NonceChoice::kConvergent : NonceChoice::kFresh;
  return MessageCipher(KMS_TRY(DerivedCipher::Derive(traits.aead, nonces, found->material.View(),
                                                     binding.context)),
                       traits.aead, binding.associated_data);
}

// There is nowhere to bind associated data to in an RSA ciphertext, and to drop it in silence would
// leave the caller with a protection that does not exist.
Result<MessageCipher> MessageCipher::ChooseRsa(const Key& key, KeyVersionNumber version,
                                               const MessageBinding& binding) {
  if (!binding.associated_data.empty()) {
    return InvalidArgument("'associated_data' provided for non-AEAD cipher suite " +
                           TypeNameOf(key));
  }
  const AsymmetricKey* found = key.FindAsymmetric(version);
  if (found == nullptr) {
    return NoSuchVersion();
  }
  return MessageCipher(RsaKey{.key = found, .padding = binding.padding}, {}, {});
}

std::size_t MessageCipher::PayloadBytes(std::size_t plaintext_bytes) const {
  if (const auto* rsa = std::get_if<RsaKey>(&choice_)) {
    return RsaCiphertextBytes(rsa->key->algorithm());
  }
  return nonce_bytes_ + plaintext_bytes + kAeadTagBytes;
}

Status MessageCipher::Seal(ByteView plaintext, MutableByteView payload) const {
  if (const auto* prepared = std::get_if<const Aead*>(&choice_)) [[likely]] {
    const MutableByteView nonce = payload.first(nonce_bytes_);
    FillHedgedNonce(nonce, plaintext, associated_data_);
    return (*prepared)->Seal(nonce, associated_data_, plaintext, payload.subspan(nonce_bytes_));
  }
  if (const auto* derived = std::get_if<DerivedCipher>(&choice_)) {
    return derived->Seal(associated_data_, plaintext, payload);
  }
  const auto& rsa = std::get<RsaKey>(choice_);
  return RsaEncrypt(*rsa.key, rsa.padding, plaintext, payload);
}

Status MessageCipher::Open(ByteView payload, PlaintextBuffer& plaintext) const {
  if (const auto* rsa = std::get_if<RsaKey>(&choice_)) {
    return RsaDecrypt(*rsa->key, rsa->padding, payload, plaintext);
  }
  return OpenAead(payload, plaintext);
}

Status MessageCipher::OpenAead(ByteView payload, PlaintextBuffer& plaintext) const {
  if (payload.size() < nonce_bytes_) {
    return InvalidArgument("invalid ciphertext length");
  }
  const ByteView nonce = payload.first(nonce_bytes_);
  const ByteView sealed = payload.subspan(nonce_bytes_);
  const MutableByteView out =
      plaintext.Reset(sealed.size() < kAeadTagBytes ? 0 : sealed.size() - kAeadTagBytes);
  if (const auto* prepared = std::get_if<const Aead*>(&choice_)) [[likely]] {
    return (*prepared)->Open(nonce, associated_data_, sealed, out);
  }
  return std::get<DerivedCipher>(choice_).Open(nonce, associated_data_, sealed, out);
}

}  // namespace kms
