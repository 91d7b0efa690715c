// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/self_test.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/digest.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/rsa_encryption.h"

namespace kms {

namespace {

unsigned Nibble(char digit) {
  return static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

// The vectors are constants of this program; their digits are right.
Bytes FromHex(std::string_view text) {
  Bytes bytes;
  for (std::size_t index = 0; index + 1 < text.size(); index += 2) {
    bytes.push_back(static_cast<std::uint8_t>(Nibble(text[index]) << 4U | Nibble(text[index + 1])));
  }
  return bytes;
}

Status CheckSeal(const Aead& aead, const AeadAnswer& answer) {
  const Bytes plaintext = FromHex(answer.plaintext);
  Bytes sealed(plaintext.size() + kAeadTagBytes);
  KMS_TRY(aead.Seal(FromHex(answer.nonce), FromHex(answer.associated_data), plaintext, sealed));
  return sealed == FromHex(answer.sealed) ? Ok() : Status(Internal("wrong ciphertext"));
}

Status CheckOpen(const Aead& aead, const AeadAnswer& answer) {
  const Bytes nonce = FromHex(answer.nonce);
  const Bytes associated_data = FromHex(answer.associated_data);
  Bytes sealed = FromHex(answer.sealed);
  Bytes plaintext(sealed.size() - std::min(sealed.size(), kAeadTagBytes));
  KMS_TRY(aead.Open(nonce, associated_data, sealed, plaintext));
  if (plaintext != FromHex(answer.plaintext)) {
    return Internal("wrong plaintext");
  }
  sealed.back() ^= 1U;
  const Status damaged = aead.Open(nonce, associated_data, sealed, plaintext);
  return damaged.has_value() ? Status(Internal("a damaged tag was accepted")) : Ok();
}

Status Check(const AeadAnswer& answer) {
  const Aead aead = KMS_TRY(Aead::Create(answer.algorithm, FromHex(answer.key)));
  KMS_TRY(CheckSeal(aead, answer));
  return CheckOpen(aead, answer);
}

Status Check(const HkdfAnswer& answer) {
  const Bytes expected = FromHex(answer.output);
  const SecretBytes output = KMS_TRY(HkdfSha256(FromHex(answer.input_key), FromHex(answer.salt),
                                                FromHex(answer.info), expected.size()));
  return std::ranges::equal(output.View(), expected) ? Ok() : Status(Internal("wrong output"));
}

Status Check(const DigestAnswer& answer) {
  const Sha256Digest digest = Sha256(FromHex(answer.message));
  return HexEncode(digest) == answer.sha256 ? Ok() : Status(Internal("wrong digest"));
}

// A valid signature verifies, a damaged one does not.
Status CheckVerify(const AsymmetricKey& key, const SignatureOptions& options, ByteView message,
                   Bytes signature) {
  const bool valid = KMS_TRY(VerifySignature(key, options, message, signature));
  if (!valid) {
    return Internal("a valid signature was refused");
  }
  signature.back() ^= 1U;
  const bool damaged = KMS_TRY(VerifySignature(key, options, message, signature));
  return damaged ? Status(Internal("a damaged signature was accepted")) : Ok();
}

Status Check(const SignatureAnswer& answer) {
  const AsymmetricKey key =
      KMS_TRY(AsymmetricKey::FromPublicKey(answer.algorithm, FromHex(answer.public_key)));
  SignatureOptions options;
  options.marshaling = answer.marshaling;
  return CheckVerify(key, options, FromHex(answer.message), FromHex(answer.signature));
}

Status Check(const Ed25519Answer& answer) {
  const AsymmetricKey key = KMS_TRY(AsymmetricKey::FromEd25519Seed(FromHex(answer.seed)));
  const Bytes public_key = KMS_TRY(key.Ed25519PublicKey());
  const Bytes message = FromHex(answer.message);
  const Bytes signature = KMS_TRY(CreateSignature(key, {}, message));
  if (public_key != FromHex(answer.public_key) || signature != FromHex(answer.signature)) {
    return Internal("wrong signature");
  }
  return CheckVerify(key, {}, message, signature);
}

Status Check(const OaepAnswer& answer) {
  const AsymmetricKey key =
      KMS_TRY(AsymmetricKey::FromPkcs8(answer.algorithm, FromHex(answer.private_key)));
  PlaintextBuffer plaintext;
  KMS_TRY(RsaDecrypt(key, RsaEncryptionPadding::kOaep, FromHex(answer.ciphertext), plaintext));
  return std::ranges::equal(plaintext.View(), FromHex(answer.plaintext))
             ? Ok()
             : Status(Internal("wrong plaintext"));
}

template <typename Answer>
Status CheckAll(std::span<const Answer> answers) {
  for (const Answer& answer : answers) {
    const Status checked = Check(answer);
    if (!checked.has_value()) {
      return Internal("cryptographic self-test failed: " + std::string(answer.source) + ": " +
                      Describe(checked.error()));
    }
  }
  return Ok();
}

}  // namespace

Status RunCryptoSelfTest(const KnownAnswers& answers) {
  KMS_TRY(CheckAll(answers.aead));
  KMS_TRY(CheckAll(answers.hkdf));
  KMS_TRY(CheckAll(answers.digest));
  KMS_TRY(CheckAll(answers.signature));
  KMS_TRY(CheckAll(answers.ed25519));
  return CheckAll(answers.oaep);
}

}  // namespace kms
