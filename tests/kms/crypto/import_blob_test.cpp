// SPDX-License-Identifier: Apache-2.0
// transit-api 5.8: the blob in both directions, with the openssl program as the other side.
#include "kms/crypto/import_blob.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "kms/crypto/key_export.h"
#include "kms/crypto/key_wrap.h"
#include "kms/crypto/rsa_encryption.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::OpensslCommand;
using ::kms::testing::TestKey;
using ::testing::ElementsAreArray;

constexpr std::array<std::pair<std::string_view, HashAlgorithm>, 5> kHashes = {{
    {"SHA1", HashAlgorithm::kSha1},
    {"SHA224", HashAlgorithm::kSha2_224},
    {"SHA256", HashAlgorithm::kSha2_256},
    {"SHA384", HashAlgorithm::kSha2_384},
    {"SHA512", HashAlgorithm::kSha2_512},
}};

const AsymmetricKey& WrappingKey() {
  static const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kRsa2048);
  return key;
}

Result<SecretBytes> Open(const AsymmetricKey& key, HashAlgorithm hash, ByteView blob) {
  const ImportBlob parts = KMS_TRY(SplitImportBlob(blob, RsaCiphertextBytes(key.algorithm())));
  const SecretBytes ephemeral = KMS_TRY(OaepDecrypt(key, hash, parts.wrapped_ephemeral));
  return OpenImportTarget(ephemeral, parts.wrapped_target);
}

TEST(ImportBlob, OpensWhatItSealedWithEveryHash) {
  for (const auto& [name, hash] : kHashes) {
    for (const std::size_t size : {1U, 16U, 32U, 33U, 512U, 2400U}) {
      const Bytes target(size, 0xa5);
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes blob, SealImportBlob(WrappingKey(), hash, target));
      EXPECT_EQ(blob.size(), 256 + WrappedKeyBytes(size)) << name;
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened, Open(WrappingKey(), hash, blob));
      EXPECT_THAT(opened.View(), ElementsAreArray(target)) << name;
    }
  }
}

TEST(ImportBlob, OfAnAes256KeyUnderRsa4096Has552Bytes) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kRsa4096);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes blob,
                           SealImportBlob(key, HashAlgorithm::kSha2_256, Bytes(32, 1)));
  EXPECT_EQ(blob.size(), 552U);
  EXPECT_THAT(Open(key, HashAlgorithm::kSha2_256, blob), IsOk());
}

TEST(ImportBlob, IsFreshEveryTime) {
  const Bytes target(32, 1);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes one,
                           SealImportBlob(WrappingKey(), HashAlgorithm::kSha2_256, target));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes two,
                           SealImportBlob(WrappingKey(), HashAlgorithm::kSha2_256, target));
  EXPECT_NE(Bytes(one.begin() + 256, one.end()), Bytes(two.begin() + 256, two.end()));
}

TEST(ImportBlob, RefusesAKeyThatIsNotRsa) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                           AsymmetricKey::Generate(AsymmetricAlgorithm::kEcdsaP256));
  EXPECT_THAT(
      SealImportBlob(key, HashAlgorithm::kSha2_256, Bytes(32)),
      HasError(ErrorCode::kInvalidArgument, "unsupported key type in use; must be a rsa key"));
}

TEST(ImportBlob, RefusesAnEmptyTarget) {
  EXPECT_THAT(SealImportBlob(WrappingKey(), HashAlgorithm::kSha2_256, {}),
              HasError(ErrorCode::kInvalidArgument));
}

TEST(ImportBlob, IsTooShortWithoutATarget) {
  const Bytes blob(600);
  for (const std::size_t size : {0U, 1U, 511U, 512U}) {
    EXPECT_THAT(SplitImportBlob(ByteView(blob).first(size), 512),
                HasError(ErrorCode::kInvalidArgument, "provided ciphertext is too short"));
  }
  KMS_ASSERT_OK_AND_ASSIGN(const ImportBlob parts, SplitImportBlob(ByteView(blob).first(513), 512));
  EXPECT_EQ(parts.wrapped_ephemeral.size(), 512U);
  EXPECT_EQ(parts.wrapped_target.size(), 1U);
}

TEST(ImportBlob, WantsAnEphemeralKeyOf256Bits) {
  for (const std::size_t size : {0U, 16U, 24U, 31U, 33U}) {
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes ephemeral, SecretBytes::OfSize(size));
    EXPECT_THAT(OpenImportTarget(ephemeral, Bytes(40)),
                HasError(ErrorCode::kInvalidArgument, "expected ephemeral AES key to be 256-bit"));
  }
}

TEST(ImportBlob, WithAnotherHashDoesNotOpen) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes blob,
                           SealImportBlob(WrappingKey(), HashAlgorithm::kSha2_256, Bytes(32, 1)));
  EXPECT_THAT(Open(WrappingKey(), HashAlgorithm::kSha1, blob),
              HasError(ErrorCode::kDecryptionFailed, "crypto/rsa: decryption error"));
}

TEST(ImportBlob, WithADamagedTargetDoesNotOpen) {
  KMS_ASSERT_OK_AND_ASSIGN(Bytes blob,
                           SealImportBlob(WrappingKey(), HashAlgorithm::kSha2_256, Bytes(32, 1)));
  blob.back() ^= 1U;
  EXPECT_THAT(
      Open(WrappingKey(), HashAlgorithm::kSha2_256, blob),
      HasError(ErrorCode::kDecryptionFailed, "failed to unwrap the key: integrity check failed"));
}

TEST(ImportBlob, TheNamesOfHashesMayBeInAnyCase) {
  for (const auto& [name, hash] : kHashes) {
    std::string lower(name);
    for (char& letter : lower) {
      letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    EXPECT_EQ(FindImportHash(name), hash);
    EXPECT_EQ(FindImportHash(lower), hash);
  }
  EXPECT_EQ(FindImportHash("sHa256"), HashAlgorithm::kSha2_256);
  for (const std::string_view name :
       {"", "SHA", "SHA-256", "sha2-256", "SHA2560", "MD5", " SHA1"}) {
    EXPECT_EQ(FindImportHash(name), std::nullopt) << name;
  }
}

TEST(ImportBlob, MadeByOpensslOpensHere) {
  for (const auto& [name, hash] : kHashes) {
    OpensslCommand openssl;
    KMS_ASSERT_OK_AND_ASSIGN(const std::string pem, PublicKeyText(WrappingKey()));
    openssl.Write("wrapping.pem", pem);
    ASSERT_TRUE(openssl.Run("rand -out ephemeral 32"));
    ASSERT_TRUE(openssl.Run("rand -out target 41"));
    ASSERT_TRUE(
        openssl.Run("pkeyutl -encrypt -pubin -inkey wrapping.pem -in ephemeral -out first -pkeyopt "
                    "rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:" +
                    std::string(name) + " -pkeyopt rsa_mgf1_md:" + std::string(name)));
    ASSERT_TRUE(openssl.Run("enc -id-aes256-wrap-pad -iv A65959A6 -in target -out second -K " +
                            HexEncode(openssl.Content("ephemeral"))));
    Bytes blob = openssl.Content("first");
    const Bytes second = openssl.Content("second");
    blob.insert(blob.end(), second.begin(), second.end());
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened, Open(WrappingKey(), hash, blob));
    EXPECT_THAT(opened.View(), ElementsAreArray(openssl.Content("target"))) << name;
  }
}

TEST(ImportBlob, SealedHereOpensWithOpenssl) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem"));
  ASSERT_TRUE(openssl.Run("pkey -in key.pem -pubout -outform DER -out public.der"));
  KMS_ASSERT_OK_AND_ASSIGN(
      const AsymmetricKey key,
      AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kRsa2048, openssl.Content("public.der")));
  const Bytes target(77, 0x3c);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes blob, SealImportBlob(key, HashAlgorithm::kSha2_256, target));
  openssl.Write("first", ByteView(blob).first(256));
  openssl.Write("second", ByteView(blob).subspan(256));
  ASSERT_TRUE(openssl.Run(
      "pkeyutl -decrypt -inkey key.pem -in first -out ephemeral -pkeyopt rsa_padding_mode:oaep "
      "-pkeyopt rsa_oaep_md:SHA256 -pkeyopt rsa_mgf1_md:SHA256"));
  ASSERT_TRUE(openssl.Run("enc -d -id-aes256-wrap-pad -iv A65959A6 -in second -out target -K " +
                          HexEncode(openssl.Content("ephemeral"))));
  EXPECT_EQ(openssl.Content("target"), target);
}

}  // namespace
}  // namespace kms
