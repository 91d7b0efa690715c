// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/rsa_encryption.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::PublicHalf;
using testing::ReadVectors;
using testing::TestKey;

using enum AsymmetricAlgorithm;
using enum RsaEncryptionPadding;

Result<Bytes> Encrypt(const AsymmetricKey& key, RsaEncryptionPadding padding, ByteView plaintext) {
  Bytes out(RsaCiphertextBytes(key.algorithm()));
  KMS_TRY(RsaEncrypt(key, padding, plaintext, out));
  return out;
}

Result<Bytes> Decrypt(const AsymmetricKey& key, RsaEncryptionPadding padding,
                      ByteView ciphertext) {
  PlaintextBuffer plaintext;
  KMS_TRY(RsaDecrypt(key, padding, ciphertext, plaintext));
  return CopyOf(plaintext.View());
}

struct Case {
  AsymmetricAlgorithm algorithm;
  RsaEncryptionPadding padding;
  std::size_t longest;
};

class RsaEncryption : public ::testing::TestWithParam<Case> {
 protected:
  const AsymmetricKey key_ = TestKey(GetParam().algorithm);
};

TEST_P(RsaEncryption, DecryptsEveryLengthThatFits) {
  const Case& c = GetParam();
  EXPECT_EQ(MaxRsaPlaintextBytes(c.algorithm, c.padding), c.longest);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{32}, c.longest}) {
    const Bytes plaintext(size, 0x17);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes ciphertext, Encrypt(key_, c.padding, plaintext));
    EXPECT_THAT(Decrypt(key_, c.padding, ciphertext), IsOkAndHolds(plaintext));
  }
  EXPECT_THAT(Encrypt(key_, c.padding, Bytes(c.longest + 1)),
              HasError(ErrorCode::kInvalidArgument,
                       "failed to RSA encrypt the plaintext: message too long for RSA key size"));
}

// ---- refusals ----------------------------------------------------------------------------------

// Every way a ciphertext can be damaged.
std::vector<Bytes> DamagedCiphertexts(const AsymmetricKey& key, RsaEncryptionPadding padding) {
  const std::size_t size = RsaCiphertextBytes(key.algorithm());
  const Bytes good = *Encrypt(key, padding, AsBytes("hello transit"));
  std::vector<Bytes> damaged = {
      {}, {0}, {1}, Bytes(size, 0x00), Bytes(size, 0xff), Bytes(size - 1, 0x11),
      Bytes(size + 1, 0x11)};
  damaged.push_back(CopyOf(ByteView(good).first(size - 1)));
  damaged.push_back(CopyOf(ByteView(good).last(size - 1)));
  for (const bool in_front : {false, true}) {
    Bytes longer = good;
    longer.insert(in_front ? longer.begin() : longer.end(), 0);
    damaged.push_back(longer);
  }
  for (std::size_t bit = 0; bit < size * 8; bit += 97) {
    Bytes flipped = good;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    damaged.push_back(flipped);
  }
  const Bytes spki = *key.PublicKey();  // SEQUENCE { n, e }: n ends before e's five bytes
  damaged.push_back(CopyOf(ByteView(spki).last(size + 5).first(size)));
  damaged.push_back(*Encrypt(TestKey(key.algorithm(), 1), padding, AsBytes("hello transit")));
  damaged.push_back(*Encrypt(key,
                             padding == kOaep ? kPkcs1v15 : kOaep,
                             AsBytes("hello transit")));
  damaged.push_back(*OaepEncrypt(key, HashAlgorithm::kSha1, AsBytes("hello transit")));
  damaged.push_back(*OaepEncrypt(key, HashAlgorithm::kSha2_512, AsBytes("hello transit")));
  return damaged;
}

// With PKCS #1 v1.5 a damaged ciphertext may happen to decrypt to other bytes: it has no checksum.
TEST_P(RsaEncryption, C10_EveryDamagedCiphertextHasOneCodeAndText) {
  std::set<ErrorCode> codes;
  std::set<std::string> texts;
  std::set<std::string> details;
  for (const Bytes& damaged : DamagedCiphertexts(key_, GetParam().padding)) {
    PlaintextBuffer plaintext;
    const Status decrypted = RsaDecrypt(key_, GetParam().padding, damaged, plaintext);
    if (decrypted.has_value()) {
      EXPECT_EQ(GetParam().padding, kPkcs1v15);
      EXPECT_NE(AsText(plaintext.View()), "hello transit");
      continue;
    }
    codes.insert(decrypted.error().code);
    texts.insert(decrypted.error().public_message);
    details.insert(decrypted.error().detail);
    EXPECT_EQ(plaintext.size(), 0U);
  }
  EXPECT_EQ(codes, std::set{ErrorCode::kDecryptionFailed});
  EXPECT_EQ(texts, std::set<std::string>{
                       "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"});
  EXPECT_EQ(details, std::set<std::string>{""});
}

TEST_P(RsaEncryption, C10_BothPaddingsFailAlike) {
  const Bytes zeros(RsaCiphertextBytes(GetParam().algorithm));
  PlaintextBuffer plaintext;
  const Status oaep = RsaDecrypt(key_, kOaep, zeros, plaintext);
  const Status pkcs1 = RsaDecrypt(key_, kPkcs1v15, zeros, plaintext);
  ASSERT_FALSE(oaep.has_value());
  ASSERT_FALSE(pkcs1.has_value());
  EXPECT_EQ(oaep.error().code, pkcs1.error().code);
  EXPECT_EQ(oaep.error().public_message, pkcs1.error().public_message);
  EXPECT_EQ(oaep.error().detail, pkcs1.error().detail);
}

TEST_P(RsaEncryption, LeavesNothingOfAnEarlierPlaintextAfterAFailure) {
  PlaintextBuffer plaintext;
  const Bytes good = *Encrypt(key_, GetParam().padding, AsBytes("hello transit"));
  ASSERT_THAT(RsaDecrypt(key_, GetParam().padding, good, plaintext), IsOk());
  const std::uint8_t* memory = plaintext.View().data();
  ASSERT_THAT(RsaDecrypt(key_, GetParam().padding, Bytes(good.size()), plaintext),
              HasError(ErrorCode::kDecryptionFailed));
  EXPECT_EQ(plaintext.size(), 0U);
  EXPECT_TRUE(std::ranges::all_of(ByteView(memory, good.size()),
                                  [](std::uint8_t byte) { return byte == 0; }));
}

TEST_P(RsaEncryption, IsNotRepeatable) {
  EXPECT_NE(*Encrypt(key_, GetParam().padding, AsBytes("a")),
            *Encrypt(key_, GetParam().padding, AsBytes("a")));
}

TEST_P(RsaEncryption, PublicKeysEncryptOnly) {
  const AsymmetricKey half = PublicHalf(key_);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes ciphertext,
                           Encrypt(half, GetParam().padding, AsBytes("a")));
  EXPECT_THAT(Decrypt(key_, GetParam().padding, ciphertext), IsOkAndHolds(CopyOf(AsBytes("a"))));
  EXPECT_THAT(
      Decrypt(half, GetParam().padding, ciphertext),
      HasError(ErrorCode::kInvalidArgument,
               "cannot decrypt ciphertext, key version does not have a private counterpart"));
}

INSTANTIATE_TEST_SUITE_P(EverySizeAndPadding, RsaEncryption,
                         ::testing::Values(Case{kRsa2048, kOaep, 190}, Case{kRsa3072, kOaep, 318},
                                           Case{kRsa4096, kOaep, 446},
                                           Case{kRsa2048, kPkcs1v15, 245},
                                           Case{kRsa3072, kPkcs1v15, 373},
                                           Case{kRsa4096, kPkcs1v15, 501}));

TEST(RsaEncryptionOf, OtherKeysIsADefect) {
  for (const AsymmetricAlgorithm algorithm : {kEcdsaP256, kEd25519}) {
    const AsymmetricKey key = TestKey(algorithm);
    Bytes out;
    PlaintextBuffer plaintext;
    EXPECT_THAT(RsaEncrypt(key, kOaep, {}, out), HasError(ErrorCode::kInternal));
    EXPECT_THAT(RsaDecrypt(key, kOaep, Bytes(256), plaintext), HasError(ErrorCode::kInternal));
  }
}

// ---- OAEP with any hash ------------------------------------------------------------------------

Result<Bytes> OaepDecryptToBytes(const AsymmetricKey& key, HashAlgorithm hash,
                                 ByteView ciphertext) {
  const SecretBytes secret = KMS_TRY(OaepDecrypt(key, hash, ciphertext));
  return CopyOf(secret.View());
}

TEST(Oaep, DecryptsUnderItsOwnHashOnly) {
  const AsymmetricKey key = TestKey(kRsa2048);
  const Bytes secret(32, 0x33);
  for (const HashTraits& hash : AllHashes()) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes ciphertext, OaepEncrypt(key, hash.algorithm, secret));
    for (const HashTraits& other : AllHashes()) {
      if (other.algorithm == hash.algorithm) {
        EXPECT_THAT(OaepDecryptToBytes(key, other.algorithm, ciphertext), IsOkAndHolds(secret));
      } else {
        EXPECT_THAT(OaepDecryptToBytes(key, other.algorithm, ciphertext),
                    HasError(ErrorCode::kDecryptionFailed, "crypto/rsa: decryption error"));
      }
    }
  }
}

TEST(Oaep, TakesWhatFitsAndNoMore) {
  const AsymmetricKey key = TestKey(kRsa2048);
  for (const HashTraits& hash : AllHashes()) {
    const std::size_t longest = 256 - 2 * hash.bytes - 2;
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes ciphertext,
                             OaepEncrypt(key, hash.algorithm, Bytes(longest, 1)));
    EXPECT_THAT(OaepDecryptToBytes(key, hash.algorithm, ciphertext),
                IsOkAndHolds(Bytes(longest, 1)));
    EXPECT_THAT(OaepEncrypt(key, hash.algorithm, Bytes(longest + 1)),
                HasError(ErrorCode::kInvalidArgument,
                         "crypto/rsa: message too long for RSA key size"));
  }
}

// ---- Wycheproof --------------------------------------------------------------------------------

AsymmetricAlgorithm AlgorithmOfSize(const std::string& name) {
  return name == "rsa-2048" ? kRsa2048 : name == "rsa-3072" ? kRsa3072 : kRsa4096;
}

TEST(WycheproofRsaEncryption, ValidOnesDecryptAndNoOthers) {
  std::optional<AsymmetricKey> key;
  std::optional<HashAlgorithm> hash;
  int valid = 0;
  int invalid = 0;
  for (const auto& row : ReadVectors("wycheproof_rsa_encryption.txt")) {
    if (row.at(0) == "key") {
      KMS_ASSERT_OK_AND_ASSIGN(
          key, AsymmetricKey::FromPkcs8(AlgorithmOfSize(row.at(1)), FromHex(row.at(2))));
      hash = FindHash(row.at(4));
      continue;
    }
    const Bytes ciphertext = FromHex(row.at(2));
    const Result<Bytes> decrypted = hash.has_value() ? OaepDecryptToBytes(*key, *hash, ciphertext)
                                                     : Decrypt(*key, kPkcs1v15, ciphertext);
    if (row.at(0) == "valid") {
      EXPECT_THAT(decrypted, IsOkAndHolds(FromHex(row.at(1))));
      ++valid;
    } else {
      EXPECT_THAT(decrypted, HasError(ErrorCode::kDecryptionFailed));
      ++invalid;
    }
  }
  EXPECT_EQ(valid + invalid, 183);
  EXPECT_GT(valid, 50);
  EXPECT_GT(invalid, 50);
}

}  // namespace
}  // namespace kms
