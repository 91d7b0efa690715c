// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/asymmetric_key.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "kms/base/base64.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;

using enum AsymmetricAlgorithm;

constexpr AsymmetricAlgorithm kAlgorithms[] = {kEcdsaP256, kEcdsaP384, kEcdsaP521, kEd25519,
                                               kRsa2048,   kRsa3072,   kRsa4096};

// One pair per algorithm and program: RSA takes long to make.
const AsymmetricKey& KeyOf(AsymmetricAlgorithm algorithm) {
  static const std::vector<AsymmetricKey> keys = [] {
    std::vector<AsymmetricKey> made;
    for (const AsymmetricAlgorithm each : kAlgorithms) {
      made.push_back(*AsymmetricKey::Generate(each));
    }
    return made;
  }();
  return keys[static_cast<std::size_t>(algorithm)];
}

Bytes Pkcs8Of(const AsymmetricKey& key) {
  const Result<SecretBytes> pkcs8 = key.ToPkcs8();
  return CopyOf(pkcs8->View());
}

// What OpenSSL itself writes.
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

class AsymmetricKeyOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  const AsymmetricKey& key_ = KeyOf(GetParam());
};

TEST_P(AsymmetricKeyOf, WritesWhatOpenSslWrites) {
  EXPECT_EQ(Pkcs8Of(key_), OpenSslPkcs8(key_.native()));
  EXPECT_THAT(key_.PublicKey(), IsOkAndHolds(OpenSslSpki(key_.native())));
}

TEST_P(AsymmetricKeyOf, ReadsWhatItWrote) {
  const Bytes pkcs8 = Pkcs8Of(key_);
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey pair,
                           AsymmetricKey::FromPkcs8(GetParam(), pkcs8));
  EXPECT_TRUE(pair.has_private());
  EXPECT_EQ(pair.algorithm(), GetParam());
  EXPECT_TRUE(pair.SamePublicKey(key_));
  EXPECT_EQ(Pkcs8Of(pair), pkcs8);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, key_.PublicKey());
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey half,
                           AsymmetricKey::FromPublicKey(GetParam(), spki));
  EXPECT_FALSE(half.has_private());
  EXPECT_TRUE(half.SamePublicKey(key_));
  EXPECT_THAT(half.PublicKey(), IsOkAndHolds(spki));
  EXPECT_THAT(half.ToPkcs8(), HasError(ErrorCode::kFailedPrecondition));
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, AsymmetricKeyOf, ::testing::ValuesIn(kAlgorithms));

}  // namespace
}  // namespace kms
