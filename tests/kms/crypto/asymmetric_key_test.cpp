// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/asymmetric_key.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "kms/crypto/signature.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::kAsymmetricAlgorithms;
using testing::PublicHalf;
using testing::TestKey;
using testing::TestKeyPkcs8;

using enum AsymmetricAlgorithm;

Result<Bytes> Pkcs8Of(const AsymmetricKey& key) {
  const SecretBytes pkcs8 = KMS_TRY(key.ToPkcs8());
  return CopyOf(pkcs8.View());
}

Result<Bytes> SeedOf(const AsymmetricKey& key) {
  const SecretBytes seed = KMS_TRY(key.Ed25519Seed());
  return CopyOf(seed.View());
}

// ---- what OpenSSL itself writes ----------------------------------------------------------------

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using OpenSslKey = std::unique_ptr<EVP_PKEY, FreeKey>;

Bytes OpenSslPkcs8(EVP_PKEY* key) {
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, decltype(&PKCS8_PRIV_KEY_INFO_free)> info(
      EVP_PKEY2PKCS8(key), &PKCS8_PRIV_KEY_INFO_free);
  Bytes der(static_cast<std::size_t>(i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr)));
  std::uint8_t* out = der.data();
  i2d_PKCS8_PRIV_KEY_INFO(info.get(), &out);
  return der;
}

Bytes OpenSslSpki(EVP_PKEY* key) {
  Bytes der(static_cast<std::size_t>(i2d_PUBKEY(key, nullptr)));
  std::uint8_t* out = der.data();
  i2d_PUBKEY(key, &out);
  return der;
}

OpenSslKey MakeEc(const char* curve, const char* encoding) {
  std::string group = curve;
  std::string named = encoding;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, named.data(), 0),
      OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  EVP_PKEY_keygen_init(context.get());
  EVP_PKEY_CTX_set_params(context.get(), params);
  EVP_PKEY_generate(context.get(), &key);
  return OpenSslKey(key);
}

OpenSslKey MakeRsa(std::size_t bits) {
  return OpenSslKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits));
}

// ---- both ways ---------------------------------------------------------------------------------

class AsymmetricKeyOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  const AsymmetricKey key_ = TestKey(GetParam());
};

TEST_P(AsymmetricKeyOf, WritesWhatTheOpensslCommandWrote) {
  EXPECT_THAT(Pkcs8Of(key_), IsOkAndHolds(TestKeyPkcs8(GetParam())));
}

TEST_P(AsymmetricKeyOf, WritesWhatOpenSslWrites) {
  EXPECT_THAT(Pkcs8Of(key_), IsOkAndHolds(OpenSslPkcs8(key_.native())));
  EXPECT_THAT(key_.PublicKey(), IsOkAndHolds(OpenSslSpki(key_.native())));
}

TEST_P(AsymmetricKeyOf, ReadsWhatItWrote) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes pkcs8, Pkcs8Of(key_));
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey pair,
                           AsymmetricKey::FromPkcs8(GetParam(), pkcs8));
  EXPECT_TRUE(pair.has_private());
  EXPECT_EQ(pair.algorithm(), GetParam());
  EXPECT_TRUE(pair.SamePublicKey(key_));
  EXPECT_THAT(Pkcs8Of(pair), IsOkAndHolds(pkcs8));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, key_.PublicKey());
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey half,
                           AsymmetricKey::FromPublicKey(GetParam(), spki));
  EXPECT_FALSE(half.has_private());
  EXPECT_TRUE(half.SamePublicKey(key_));
  EXPECT_THAT(half.PublicKey(), IsOkAndHolds(spki));
  EXPECT_THAT(half.ToPkcs8(), HasError(ErrorCode::kFailedPrecondition));
}

TEST_P(AsymmetricKeyOf, DiffersFromAnother) {
  EXPECT_FALSE(key_.SamePublicKey(TestKey(GetParam(), 1)));
}

// One number in 256 begins with a zero byte.
TEST(AsymmetricKey, KeepsFreshKeysWhateverTheirLeadingZeros) {
  for (const AsymmetricAlgorithm algorithm : {kEcdsaP256, kEd25519}) {
    for (int round = 0; round < 600; ++round) {
      KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey made, AsymmetricKey::Generate(algorithm));
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes pkcs8, Pkcs8Of(made));
      ASSERT_EQ(pkcs8.size(), TestKeyPkcs8(algorithm).size());
      KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey read,
                               AsymmetricKey::FromPkcs8(algorithm, pkcs8));
      ASSERT_TRUE(read.SamePublicKey(made));
      ASSERT_THAT(Pkcs8Of(read), IsOkAndHolds(pkcs8));
    }
  }
}

TEST(AsymmetricKey, GeneratesRsaWithTheUsualExponent) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, AsymmetricKey::Generate(kRsa2048));
  EXPECT_TRUE(key.has_private());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, key.PublicKey());
  EXPECT_EQ(HexEncode(ByteView(spki).last(5)), "0203010001");
  EXPECT_THAT(AsymmetricKey::FromPublicKey(kRsa2048, spki), IsOk());
}

TEST(AsymmetricKey, KnowsItsSizes) {
  std::vector<std::pair<std::size_t, std::size_t>> sizes;
  for (const AsymmetricAlgorithm algorithm : kAsymmetricAlgorithms) {
    sizes.emplace_back(RsaBits(algorithm), EcdsaFieldBytes(algorithm));
    EXPECT_EQ(IsRsa(algorithm), RsaBits(algorithm) != 0);
    EXPECT_EQ(IsEcdsa(algorithm), EcdsaFieldBytes(algorithm) != 0);
  }
  EXPECT_EQ(sizes, (std::vector<std::pair<std::size_t, std::size_t>>{
                       {0, 32}, {0, 48}, {0, 66}, {0, 0}, {2048, 0}, {3072, 0}, {4096, 0}}));
}

TEST(AsymmetricKey, IsSharedByItsCopies) {
  const AsymmetricKey key = TestKey(kEcdsaP256);
  const AsymmetricKey copy = key;
  EXPECT_EQ(copy.native(), key.native());
}

// ---- refusals ----------------------------------------------------------------------------------

TEST_P(AsymmetricKeyOf, RefusesTrailingAndMissingBytes) {
  const Bytes& pkcs8 = TestKeyPkcs8(GetParam());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, key_.PublicKey());
  for (const Bytes& original : {pkcs8, spki}) {
    Bytes longer = original;
    longer.push_back(0);
    EXPECT_THAT(AsymmetricKey::FromPkcs8(GetParam(), longer),
                HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(AsymmetricKey::FromPublicKey(GetParam(), longer),
                HasError(ErrorCode::kInvalidArgument));
    for (std::size_t size = 0; size < original.size(); ++size) {
      const ByteView shorter = ByteView(original).first(size);
      ASSERT_THAT(AsymmetricKey::FromPkcs8(GetParam(), shorter),
                  HasError(ErrorCode::kInvalidArgument));
      ASSERT_THAT(AsymmetricKey::FromPublicKey(GetParam(), shorter),
                  HasError(ErrorCode::kInvalidArgument));
    }
  }
}

TEST_P(AsymmetricKeyOf, RefusesEveryOtherAlgorithmAndTheOtherHalf) {
  for (const AsymmetricAlgorithm other : kAsymmetricAlgorithms) {
    const AsymmetricKey key = TestKey(other);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, key.PublicKey());
    EXPECT_EQ(AsymmetricKey::FromPkcs8(GetParam(), TestKeyPkcs8(other)).has_value(),
              other == GetParam());
    EXPECT_EQ(AsymmetricKey::FromPublicKey(GetParam(), spki).has_value(), other == GetParam());
    EXPECT_THAT(AsymmetricKey::FromPkcs8(GetParam(), spki), HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(AsymmetricKey::FromPublicKey(GetParam(), TestKeyPkcs8(other)),
                HasError(ErrorCode::kInvalidArgument));
  }
}

// A change to the numbers may give another key, never an internal error; one to what stands around
// them is refused. Whatever is read is written back as it was.
TEST_P(AsymmetricKeyOf, ReadsNoTwoEncodingsAsOneKey) {
  const Bytes& original = TestKeyPkcs8(GetParam());
  for (std::size_t at = 0; at < original.size(); at += IsRsa(GetParam()) ? 7U : 1U) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes changed = original;
      changed[at] ^= static_cast<std::uint8_t>(1U << bit);
      const Result<AsymmetricKey> key = AsymmetricKey::FromPkcs8(GetParam(), changed);
      if (key.has_value()) {
        ASSERT_THAT(Pkcs8Of(*key), IsOkAndHolds(changed)) << at << " " << bit;
      } else {
        ASSERT_EQ(key.error().code, ErrorCode::kInvalidArgument) << Describe(key.error());
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, AsymmetricKeyOf,
                         ::testing::ValuesIn(kAsymmetricAlgorithms));

void ExpectRefusedByAll(EVP_PKEY* key) {
  ASSERT_NE(key, nullptr);
  for (const AsymmetricAlgorithm algorithm : kAsymmetricAlgorithms) {
    EXPECT_THAT(AsymmetricKey::FromPkcs8(algorithm, OpenSslPkcs8(key)),
                HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(AsymmetricKey::FromPublicKey(algorithm, OpenSslSpki(key)),
                HasError(ErrorCode::kInvalidArgument));
  }
}

TEST(AsymmetricKey, RefusesOtherCurves) {
  for (const char* curve : {"P-224", "secp256k1", "brainpoolP256r1", "brainpoolP384r1"}) {
    ExpectRefusedByAll(MakeEc(curve, OSSL_PKEY_EC_ENCODING_GROUP).get());
  }
}

TEST(AsymmetricKey, RefusesExplicitCurveParameters) {
  for (const char* curve : {"P-256", "P-384", "P-521"}) {
    ExpectRefusedByAll(MakeEc(curve, OSSL_PKEY_EC_ENCODING_EXPLICIT).get());
  }
}

TEST(AsymmetricKey, RefusesOtherTypes) {
  for (const char* type : {"X25519", "X448", "ED448"}) {
    ExpectRefusedByAll(OpenSslKey(EVP_PKEY_Q_keygen(nullptr, nullptr, type)).get());
  }
}

TEST(AsymmetricKey, RefusesOtherRsaSizes) {
  for (const std::size_t bits : {std::size_t{1024}, std::size_t{2047}, std::size_t{2056}}) {
    ExpectRefusedByAll(MakeRsa(bits).get());
  }
}

Bytes SpkiOfPoint(ByteView point) {
  Bytes spki = FromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
  spki[1] = static_cast<std::uint8_t>(spki.size() - 2 + point.size());
  spki[spki.size() - 2] = static_cast<std::uint8_t>(1 + point.size());
  spki.insert(spki.end(), point.begin(), point.end());
  return spki;
}

// RFC 6979, A.2.5, and what the same point looks like otherwise.
TEST(AsymmetricKey, TakesUncompressedPointsOfTheCurveOnly) {
  const Bytes point = FromHex(
      "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
  EXPECT_THAT(AsymmetricKey::FromPublicKey(kEcdsaP256, SpkiOfPoint(point)), IsOk());
  Bytes compressed = CopyOf(ByteView(point).first(33));
  compressed[0] = 0x03;
  Bytes hybrid = point;
  hybrid[0] = 0x07;
  Bytes off_curve = point;
  off_curve[64] ^= 1U;
  Bytes beyond_the_field(65, 0xff);
  beyond_the_field[0] = 0x04;
  Bytes origin(65);
  origin[0] = 0x04;
  for (const Bytes& other : {compressed, hybrid, off_curve, beyond_the_field, origin, Bytes{0}}) {
    EXPECT_THAT(AsymmetricKey::FromPublicKey(kEcdsaP256, SpkiOfPoint(other)),
                HasError(ErrorCode::kInvalidArgument));
  }
}

// RFC 5915 leaves the curve and the public half of the inner structure to the writer.
TEST(AsymmetricKey, ComputesAMissingPublicPoint) {
  const AsymmetricKey whole = TestKey(kEcdsaP256);
  const ByteView scalar = ByteView(TestKeyPkcs8(kEcdsaP256)).subspan(36, 32);
  Bytes without = FromHex("3041020100301306072a8648ce3d020106082a8648ce3d0301070427"
                          "30250201010420");
  without.insert(without.end(), scalar.begin(), scalar.end());
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                           AsymmetricKey::FromPkcs8(kEcdsaP256, without));
  EXPECT_TRUE(key.SamePublicKey(whole));
  EXPECT_THAT(Pkcs8Of(key), IsOkAndHolds(TestKeyPkcs8(kEcdsaP256)));
  Bytes with_curve = FromHex("304d020100301306072a8648ce3d020106082a8648ce3d0301070433"
                             "30310201010420");
  with_curve.insert(with_curve.end(), scalar.begin(), scalar.end());
  const Bytes same_curve = FromHex("a00a06082a8648ce3d030107");
  with_curve.insert(with_curve.end(), same_curve.begin(), same_curve.end());
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey again,
                           AsymmetricKey::FromPkcs8(kEcdsaP256, with_curve));
  EXPECT_TRUE(again.SamePublicKey(whole));
  with_curve.back() = 0x06;
  EXPECT_THAT(AsymmetricKey::FromPkcs8(kEcdsaP256, with_curve),
              HasError(ErrorCode::kInvalidArgument));
  Bytes zero = without;
  std::fill(zero.end() - 32, zero.end(), std::uint8_t{0});
  EXPECT_THAT(AsymmetricKey::FromPkcs8(kEcdsaP256, zero), HasError(ErrorCode::kInvalidArgument));
}

// ---- Ed25519 -----------------------------------------------------------------------------------

TEST(AsymmetricKey, GivesAndTakesEd25519Seeds) {
  const Bytes seed = FromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, AsymmetricKey::FromEd25519Seed(seed));
  EXPECT_THAT(SeedOf(key), IsOkAndHolds(seed));
  EXPECT_THAT(
      key.Ed25519PublicKey(),
      IsOkAndHolds(FromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")));
  EXPECT_THAT(SeedOf(PublicHalf(key)), HasError(ErrorCode::kFailedPrecondition));
  for (const std::size_t size : {0U, 31U, 33U, 64U}) {
    EXPECT_THAT(AsymmetricKey::FromEd25519Seed(Bytes(size)),
                HasError(ErrorCode::kInvalidArgument));
  }
}

TEST(AsymmetricKey, GivesEd25519BytesOfEd25519KeysOnly) {
  for (const AsymmetricAlgorithm algorithm : kAsymmetricAlgorithms) {
    if (algorithm != kEd25519) {
      const AsymmetricKey key = TestKey(algorithm);
      EXPECT_THAT(key.Ed25519PublicKey(), HasError(ErrorCode::kFailedPrecondition));
      EXPECT_THAT(key.Ed25519Seed(), HasError(ErrorCode::kFailedPrecondition));
    }
  }
}

// ---- adoption ----------------------------------------------------------------------------------

TEST(AsymmetricKey, AdoptsKeysOfItsAlgorithmOnly) {
  for (const AsymmetricAlgorithm own : kAsymmetricAlgorithms) {
    for (const AsymmetricAlgorithm other : kAsymmetricAlgorithms) {
      const AsymmetricKey key = TestKey(other);
      EVP_PKEY_up_ref(key.native());
      const std::shared_ptr<EVP_PKEY> shared(key.native(), &EVP_PKEY_free);
      const Result<AsymmetricKey> adopted = AsymmetricKey::Adopt(own, shared, false);
      EXPECT_EQ(adopted.has_value(), own == other);
      EXPECT_TRUE(!adopted.has_value() || !adopted->has_private());
    }
    EXPECT_THAT(AsymmetricKey::Adopt(own, nullptr, false), HasError(ErrorCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace kms
