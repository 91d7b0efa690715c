// SPDX-License-Identifier: Apache-2.0
// The table of transit-api 5.9, compared byte for byte with what openssl writes.
#include "kms/crypto/key_export.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "kms/base/base64.h"
#include "kms/crypto/key_import.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::kms::testing::FromHex;
using ::kms::testing::HasError;
using ::kms::testing::IsOkAndHolds;
using ::kms::testing::OpensslCommand;
using ::kms::testing::TestKey;
using ::testing::StrEq;
using enum AsymmetricAlgorithm;

constexpr std::array<AsymmetricAlgorithm, 7> kAll = {kEcdsaP256, kEcdsaP384, kEcdsaP521, kEd25519,
                                                     kRsa2048,   kRsa3072,   kRsa4096};

std::string Trimmed(std::string text) {
  EXPECT_TRUE(text.ends_with('\n'));
  text.pop_back();
  return text;
}

std::string Private(const AsymmetricKey& key, KeyFormat format) {
  const Result<SecretBytes> text = ExportPrivateKey(key, format);
  EXPECT_TRUE(text.has_value());
  return text.has_value() ? std::string(AsText(text->View())) : std::string();
}

// What openssl makes of the key's own encoding.
struct Reference {
  std::string pkcs8_pem, traditional_pem, public_pem;
  Bytes pkcs8, spki;
};

Reference ByOpenssl(const AsymmetricKey& key) {
  OpensslCommand openssl;
  openssl.Write("key.der", key.ToPkcs8().value().View());
  EXPECT_TRUE(openssl.Run("pkcs8 -topk8 -nocrypt -in key.der -inform DER -out pkcs8.pem"));
  EXPECT_TRUE(openssl.Run("pkcs8 -topk8 -nocrypt -in key.der -inform DER -outform DER -out p8"));
  openssl.Write("traditional.pem", std::string_view());
  if (key.algorithm() != kEd25519) {
    EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -traditional -out traditional.pem"));
  }
  EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -pubout -out public.pem"));
  EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -pubout -outform DER -out public.der"));
  return {openssl.Text("pkcs8.pem"), openssl.Text("traditional.pem"), openssl.Text("public.pem"),
          openssl.Content("p8"), openssl.Content("public.der")};
}

TEST(KeyExport, OfRsaIsWhatOpensslWrites) {
  for (const AsymmetricAlgorithm algorithm : {kRsa2048, kRsa3072, kRsa4096}) {
    const AsymmetricKey key = TestKey(algorithm);
    const Reference reference = ByOpenssl(key);
    EXPECT_TRUE(reference.traditional_pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    EXPECT_EQ(Private(key, KeyFormat::kDefault), reference.traditional_pem);
    EXPECT_EQ(Private(key, KeyFormat::kPem), reference.pkcs8_pem);
    EXPECT_EQ(Private(key, KeyFormat::kDer), Base64Encode(reference.pkcs8));
    EXPECT_THAT(ExportPublicKey(key, KeyFormat::kDefault),
                IsOkAndHolds(StrEq(reference.public_pem)));
    EXPECT_THAT(ExportPublicKey(key, KeyFormat::kPem), IsOkAndHolds(StrEq(reference.public_pem)));
    EXPECT_THAT(ExportPublicKey(key, KeyFormat::kDer), IsOkAndHolds(Base64Encode(reference.spki)));
    EXPECT_THAT(PublicKeyText(key), IsOkAndHolds(StrEq(reference.public_pem)));
  }
}

TEST(KeyExport, OfEcIsWhatOpensslWritesWithoutTheLastNewline) {
  for (const AsymmetricAlgorithm algorithm : {kEcdsaP256, kEcdsaP384, kEcdsaP521}) {
    const AsymmetricKey key = TestKey(algorithm);
    const Reference reference = ByOpenssl(key);
    EXPECT_TRUE(reference.traditional_pem.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    EXPECT_EQ(Private(key, KeyFormat::kDefault), Trimmed(reference.traditional_pem));
    EXPECT_EQ(Private(key, KeyFormat::kPem), Trimmed(reference.pkcs8_pem));
    EXPECT_EQ(Private(key, KeyFormat::kDer), Base64Encode(reference.pkcs8));
    const std::string public_pem = Trimmed(reference.public_pem);
    EXPECT_THAT(ExportPublicKey(key, KeyFormat::kDefault), IsOkAndHolds(StrEq(public_pem)));
    EXPECT_THAT(ExportPublicKey(key, KeyFormat::kPem), IsOkAndHolds(StrEq(public_pem)));
    EXPECT_THAT(ExportPublicKey(key, KeyFormat::kDer), IsOkAndHolds(Base64Encode(reference.spki)));
    EXPECT_THAT(PublicKeyText(key), IsOkAndHolds(StrEq(reference.public_pem)));
  }
}

TEST(KeyExport, OfEd25519IsSeedAndPublicKeyOrWhatOpensslWrites) {
  const AsymmetricKey key = TestKey(kEd25519);
  const Reference reference = ByOpenssl(key);
  EXPECT_EQ(Private(key, KeyFormat::kPem), Trimmed(reference.pkcs8_pem));
  EXPECT_EQ(Private(key, KeyFormat::kDer), Base64Encode(reference.pkcs8));
  EXPECT_THAT(ExportPublicKey(key, KeyFormat::kPem), IsOkAndHolds(Trimmed(reference.public_pem)));
  EXPECT_THAT(ExportPublicKey(key, KeyFormat::kDer), IsOkAndHolds(Base64Encode(reference.spki)));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes seed, key.Ed25519Seed());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes public_key, key.Ed25519PublicKey());
  Bytes both = CopyOf(seed.View());
  both.insert(both.end(), public_key.begin(), public_key.end());
  EXPECT_EQ(Private(key, KeyFormat::kDefault), Base64Encode(both));
  EXPECT_EQ(Private(key, KeyFormat::kRaw), Base64Encode(both));
}

TEST(KeyExport, OfTheEd25519VectorIsThePublishedText) {  // transit-api 16
  Bytes seed(32);
  for (std::size_t index = 0; index < seed.size(); ++index) {
    seed[index] = static_cast<std::uint8_t>(index);
  }
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, AsymmetricKey::FromEd25519Seed(seed));
  const std::string public_text = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
  EXPECT_THAT(ExportPublicKey(key, KeyFormat::kDefault), IsOkAndHolds(public_text));
  EXPECT_THAT(ExportPublicKey(key, KeyFormat::kRaw), IsOkAndHolds(public_text));
  EXPECT_THAT(PublicKeyText(key), IsOkAndHolds(public_text));
}

TEST(KeyExport, ComesBackThroughImport) {
  for (const AsymmetricAlgorithm algorithm : kAll) {
    const AsymmetricKey key = TestKey(algorithm);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes der, Base64Decode(Private(key, KeyFormat::kDer)));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey again, ImportPrivateKey(algorithm, der));
    EXPECT_TRUE(again.SamePublicKey(key));
    KMS_ASSERT_OK_AND_ASSIGN(const std::string pem, ExportPublicKey(key, KeyFormat::kPem));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey public_again, ImportPublicKey(algorithm, pem));
    EXPECT_TRUE(public_again.SamePublicKey(key));
  }
}

TEST(KeyExport, OpensslReadsEveryPemForm) {
  for (const AsymmetricAlgorithm algorithm : kAll) {
    OpensslCommand openssl;
    openssl.Write("pkcs8.pem", Private(TestKey(algorithm), KeyFormat::kPem));
    EXPECT_TRUE(openssl.Run("pkey -in pkcs8.pem -check -noout"));
    if (algorithm != kEd25519) {
      openssl.Write("default.pem", Private(TestKey(algorithm), KeyFormat::kDefault));
      EXPECT_TRUE(openssl.Run("pkey -in default.pem -check -noout"));
    }
    openssl.Write("public.pem", ExportPublicKey(TestKey(algorithm), KeyFormat::kPem).value());
    EXPECT_TRUE(openssl.Run("pkey -pubin -in public.pem -noout"));
  }
}

TEST(KeyExport, OfAnImportedEcKeyWithoutPublicHalfHasOne) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run("ecparam -name prime256v1 -genkey -noout -out full.pem"));
  ASSERT_TRUE(openssl.Run("ec -in full.pem -no_public -out bare.pem"));
  ASSERT_TRUE(openssl.Run("pkcs8 -topk8 -nocrypt -in bare.pem -outform DER -out bare.der"));
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                           ImportPrivateKey(kEcdsaP256, openssl.Content("bare.der")));
  EXPECT_EQ(Private(key, KeyFormat::kDefault), Trimmed(openssl.Text("full.pem")));
}

TEST(KeyExport, HasNoRawFormatOfEcAndRsa) {
  for (const AsymmetricAlgorithm algorithm : kAll) {
    if (algorithm == kEd25519) {
      continue;
    }
    const std::string text = "unknown key format for " +
                             std::string(IsRsa(algorithm) ? "rsa" : "ec") +
                             " key; supported values are ``, `der`, or `pem`";
    EXPECT_THAT(ExportPrivateKey(TestKey(algorithm), KeyFormat::kRaw),
                HasError(ErrorCode::kInvalidArgument, text));
    EXPECT_THAT(ExportPublicKey(TestKey(algorithm), KeyFormat::kRaw),
                HasError(ErrorCode::kInvalidArgument, text));
  }
}

TEST(KeyExport, OfAPublicOnlyVersionIsEmpty) {
  for (const AsymmetricAlgorithm algorithm : kAll) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, TestKey(algorithm).PublicKey());
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                             AsymmetricKey::FromPublicKey(algorithm, spki));
    for (const KeyFormat format : {KeyFormat::kDefault, KeyFormat::kDer, KeyFormat::kPem}) {
      EXPECT_EQ(Private(key, format), "");
    }
  }
}

TEST(KeyExport, OfASymmetricKeyIsBase64OrAnError) {
  const Bytes material = FromHex("000102030405060708090a0b0c0d0e0f10");
  for (const KeyFormat format : {KeyFormat::kDefault, KeyFormat::kRaw}) {
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes text, ExportSymmetricKey(material, format));
    EXPECT_EQ(AsText(text.View()), Base64Encode(material));
  }
  for (const KeyFormat format : {KeyFormat::kDer, KeyFormat::kPem}) {
    EXPECT_THAT(ExportSymmetricKey(material, format),
                HasError(ErrorCode::kInvalidArgument,
                         "unknown format for HMAC key; supported values are `` or `raw`"));
  }
}

TEST(KeyExport, Base64OfSecretsIsThatOfOtherBytes) {
  for (std::size_t size = 0; size < 200; ++size) {
    const Bytes bytes(size, static_cast<std::uint8_t>(size * 7));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes text, Base64OfSecret(bytes));
    EXPECT_EQ(AsText(text.View()), Base64Encode(bytes));
  }
}

TEST(KeyExport, FindsTheFormatsByName) {
  EXPECT_EQ(FindKeyFormat(""), KeyFormat::kDefault);
  EXPECT_EQ(FindKeyFormat("raw"), KeyFormat::kRaw);
  EXPECT_EQ(FindKeyFormat("der"), KeyFormat::kDer);
  EXPECT_EQ(FindKeyFormat("pem"), KeyFormat::kPem);
  for (const std::string_view name : {"PEM", "jwk", " ", "der "}) {
    EXPECT_EQ(FindKeyFormat(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace kms
