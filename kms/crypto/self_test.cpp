// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/self_test.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/digest.h"
#include "kms/crypto/hkdf.h"

namespace kms {

namespace {

constexpr AeadAnswer kAeadAnswers[] = {
    {.source = "McGrew and Viega, GCM, test case 4",
     .algorithm = AeadAlgorithm::kAes128Gcm,
     .key = "feffe9928665731c6d6a8f9467308308",
     .nonce = "cafebabefacedbaddecaf888",
     .associated_data = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     .plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     .sealed = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
               "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
               "5bc94fbc3221a5db94fae95ae7121a47"},
    {.source = "McGrew and Viega, GCM, test case 16",
     .algorithm = AeadAlgorithm::kAes256Gcm,
     .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     .nonce = "cafebabefacedbaddecaf888",
     .associated_data = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     .plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     .sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
               "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
               "76fc6ece0f4e1768cddf8853bb2d551b"},
    {.source = "RFC 8439 section 2.8.2",
     .algorithm = AeadAlgorithm::kChaCha20Poly1305,
     .key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     .nonce = "070000004041424344454647",
     .associated_data = "50515253c0c1c2c3c4c5c6c7",
     .plaintext = "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
                  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
                  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
                  "637265656e20776f756c642062652069742e",
     .sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
               "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
               "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
               "3ff4def08e4b7a9de576d26586cec64b6116"
               "1ae10b594f09e26a7e902ecbd0600691"},
};

constexpr HkdfAnswer kHkdfAnswers[] = {
    {.source = "RFC 5869 test case 1",
     .input_key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     .salt = "000102030405060708090a0b0c",
     .info = "f0f1f2f3f4f5f6f7f8f9",
     .output = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
               "34007208d5b887185865"},
};

constexpr DigestAnswer kDigestAnswers[] = {
    {.source = "FIPS 180-2 appendix B.1",
     .message = "616263",
     .sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
};

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

KnownAnswers PublishedAnswers() {
  return {.aead = kAeadAnswers, .hkdf = kHkdfAnswers, .digest = kDigestAnswers};
}

Status RunCryptoSelfTest(const KnownAnswers& answers) {
  KMS_TRY(CheckAll(answers.aead));
  KMS_TRY(CheckAll(answers.hkdf));
  return CheckAll(answers.digest);
}

}  // namespace kms
