// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/message_cipher.h"

#include <algorithm>
#include <string>

#include "kms/crypto/nonce.h"
#include "kms/operations/resident_keys.h"

namespace kms {

namespace {

std::string TypeNameOf(const Key& key) { return std::string(TraitsOf(key.policy().type).name); }

// The texts of the same failures in software.
Error AeadDoesNotOpen() {
  return MakeError(ErrorCode::kDecryptionFailed, "cipher: message authentication failed", {});
}
Error RsaDoesNotOpen() {
  return MakeError(ErrorCode::kDecryptionFailed,
                   "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error", {});
}

// Copies what an HSM opened; its refusal gets `refusal`.
Status Take(Result<SecretBytes> opened, const Error& refusal, PlaintextBuffer& plaintext) {
  if (!opened.has_value()) {
    return opened.error().code == ErrorCode::kDecryptionFailed ? refusal
                                                               : std::move(opened).error();
  }
  std::ranges::copy(opened->View(), plaintext.Reset(opened->size()).begin());
  return Ok();
}

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
  if (policy.is_resident()) {
    InHsm cipher = KMS_TRY(FindInHsm(key, version));
    return MessageCipher(cipher, traits.aead, binding.associated_data);
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
  RsaKey rsa{.key = found, .padding = binding.padding, .private_half = {}};
  if (key.policy().is_resident()) {
    rsa.private_half = KMS_TRY(FindInHsm(key, version));
  }
  return MessageCipher(rsa, {}, {});
}

Result<MessageCipher::InHsm> MessageCipher::FindInHsm(const Key& key, KeyVersionNumber version) {
  const KeyVersion* found = key.FindVersion(version);
  if (found == nullptr) {
    return NoSuchVersion();
  }
  if (key.residence() == nullptr) {
    return Unavailable("the key lives in an HSM, and none is connected");
  }
  return InHsm{.keys = key.residence().get(), .where = &*found->resident};
}

std::size_t MessageCipher::PayloadBytes(std::size_t plaintext_bytes) const {
  if (const auto* rsa = std::get_if<RsaKey>(&choice_)) {
    return RsaCiphertextBytes(rsa->key->algorithm());
  }
  if (const auto* hsm = std::get_if<InHsm>(&choice_)) {
    return hsm->where->record.nonce_bytes + plaintext_bytes + kAeadTagBytes;
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
  if (const auto* hsm = std::get_if<InHsm>(&choice_)) {
    return SealInHsm(*hsm, plaintext, payload);
  }
  const auto& rsa = std::get<RsaKey>(choice_);
  return RsaEncrypt(*rsa.key, rsa.padding, plaintext, payload);
}

Status MessageCipher::Open(ByteView payload, PlaintextBuffer& plaintext) const {
  if (const auto* rsa = std::get_if<RsaKey>(&choice_)) {
    return OpenRsa(*rsa, payload, plaintext);
  }
  if (const auto* hsm = std::get_if<InHsm>(&choice_)) {
    return OpenInHsm(*hsm, payload, plaintext);
  }
  return OpenAead(payload, plaintext);
}

Status MessageCipher::OpenRsa(const RsaKey& rsa, ByteView payload, PlaintextBuffer& plaintext) {
  if (rsa.private_half.where == nullptr) {
    return RsaDecrypt(*rsa.key, rsa.padding, payload, plaintext);
  }
  if (payload.size() != RsaCiphertextBytes(rsa.key->algorithm())) {
    return RsaDoesNotOpen();
  }
  const bool oaep = rsa.padding == RsaEncryptionPadding::kOaep;
  return Take(rsa.private_half.keys->DecryptRsa(
                  *rsa.private_half.where,
                  oaep ? std::optional(HashAlgorithm::kSha2_256) : std::nullopt, payload),
              RsaDoesNotOpen(), plaintext);
}

Status MessageCipher::SealInHsm(const InHsm& cipher, ByteView plaintext,
                                MutableByteView payload) const {
  const ResidentCiphertext made =
      KMS_TRY(cipher.keys->Encrypt(*cipher.where, plaintext, associated_data_));
  if (made.nonce.size() + made.ciphertext.size() != payload.size()) {
    return Unavailable("the HSM made a ciphertext of an impossible length; retry");
  }
  const auto rest = std::ranges::copy(made.nonce, payload.begin()).out;
  std::ranges::copy(made.ciphertext, rest);
  return Ok();
}

Status MessageCipher::OpenInHsm(const InHsm& cipher, ByteView payload,
                                PlaintextBuffer& plaintext) const {
  const std::size_t nonce_bytes = cipher.where->record.nonce_bytes;
  if (payload.size() < nonce_bytes) {
    return InvalidArgument("invalid ciphertext length");
  }
  // No key in an HSM has encrypted as much.
  const std::size_t message = payload.size() - nonce_bytes + associated_data_.size();
  if (message > kMaxResidentMessageBytes + kAeadTagBytes) {
    return AeadDoesNotOpen();
  }
  const ResidentCiphertext ciphertext{.nonce = CopyOf(payload.first(nonce_bytes)),
                                      .ciphertext = CopyOf(payload.subspan(nonce_bytes))};
  return Take(cipher.keys->Decrypt(*cipher.where, ciphertext, associated_data_),
              AeadDoesNotOpen(), plaintext);
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
