// SPDX-License-Identifier: Apache-2.0
// transit-api 6.27; NIST CAVP, ECC CDH primitive, count 0 of each curve.
#include "kms/crypto/key_agreement.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "kms/crypto/hkdf.h"
#include "kms/crypto/key_export.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/pem_text.h"
#include "tests/support/der_builder.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using namespace kms::testing;  // NOLINT: the builders of this test
using ::testing::StartsWith;
using enum AsymmetricAlgorithm;

struct Vector {
  AsymmetricAlgorithm algorithm;
  std::string_view curve_oid;
  std::string_view peer_x, peer_y, scalar, z;
};
constexpr std::array<Vector, 3> kVectors = {{
    {kEcdsaP256, kP256Oid, "700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287",
     "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
     "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534",
     "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"},
    {kEcdsaP384, kP384Oid,
     "a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272734466b400091adbf2d68c58e0c5"
     "0066",
     "ac68f19f2e1cb879aed43a9969b91a0839c4c38a49749b661efedf243451915ed0905a32b060992b468c64766fc8"
     "437a",
     "3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774ad463b205da88cf699ab4d43c9cf"
     "98a1",
     "5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457e5621e766c40a2e3d4d6a04b25e5"
     "33f1"},
    {kEcdsaP521, kP521Oid,
     "00685a48e86c79f0f0875f7bc18d25eb5fc8c0b07e5da4f4370f3a9490340854334b1e1b87fa395464c60626124a"
     "4e70d0f785601d37c09870ebf176666877a2046d",
     "01ba52c56fc8776d9e8f5db4f0cc27636d0b741bbe05400697942e80b739884a83bde99e0f6716939e632bc8986f"
     "a18dccd443a348b6c3e522497955a4f3c302f676",
     "017eecc07ab4b329068fba65e56a1f8890aa935e57134ae0ffcce802735151f4eac6564f6ee9974c5e6887a1fefe"
     "e5743ae2241bfeb95d5ce31ddcb6f9edb4d6fc47",
     "005fc70477c3e63bc3954bd0df3ea0d1f41ee21746ed95fc5e1fdf90930d5e136672d72cc770742d1711c3c3a4c3"
     "34a0ad9759436a4d3c5bf6e74b9578fac148c831"},
}};

Bytes PeerSpki(const Vector& vector) {
  return EcPublicKeyInfo(vector.curve_oid,
                         Joined({{4}, FromHex(vector.peer_x), FromHex(vector.peer_y)}));
}

std::string Pem(const Bytes& spki) {
  return internal::EncodePem("PUBLIC KEY", spki, internal::PemEnding::kNewline);
}

AsymmetricKey OwnKey(const Vector& vector) {
  return ImportPrivateKey(vector.algorithm,
                          EcPrivateKeyInfo(vector.curve_oid, FromHex(vector.scalar)))
      .value();
}

TEST(KeyAgreement, MatchesThePublishedSharedSecrets) {
  for (const Vector& vector : kVectors) {
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey peer,
                             ImportPublicKeyDer(vector.algorithm, PeerSpki(vector)));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes z, internal::EcdhSharedSecret(OwnKey(vector), peer));
    EXPECT_EQ(HexEncode(z.View()), vector.z);
  }
}

TEST(KeyAgreement, IsHkdfOfTheSharedSecret) {
  for (const Vector& vector : kVectors) {
    for (const std::size_t size : {16U, 32U, 512U}) {
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes expected,
                               HkdfSha256(FromHex(vector.z), {}, {}, size));
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes key,
                               AgreeEcdh(OwnKey(vector), Pem(PeerSpki(vector)), size));
      EXPECT_TRUE(key == expected);
    }
  }
}

TEST(KeyAgreement, IsTheSameOnBothSides) {
  for (const Vector& vector : kVectors) {
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey one, AsymmetricKey::Generate(vector.algorithm));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey two, AsymmetricKey::Generate(vector.algorithm));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes here,
                             AgreeEcdh(one, PublicKeyText(two).value(), 32));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes there,
                             AgreeEcdh(two, PublicKeyText(one).value(), 32));
    EXPECT_TRUE(here == there);
  }
}

TEST(KeyAgreement, IsWhatOpensslDerives) {
  OpensslCommand openssl;
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey own, AsymmetricKey::Generate(kEcdsaP256));
  openssl.Write("own.pem", PublicKeyText(own).value());
  ASSERT_TRUE(openssl.Run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out peer.pem"));
  ASSERT_TRUE(openssl.Run("pkey -in peer.pem -pubout -out peer_public.pem"));
  ASSERT_TRUE(openssl.Run("pkeyutl -derive -inkey peer.pem -peerkey own.pem -out z"));
  ASSERT_TRUE(openssl.Run("kdf -binary -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:" +
                          HexEncode(openssl.Content("z")) + " -out derived HKDF"));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes key,
                           AgreeEcdh(own, openssl.Text("peer_public.pem"), 32));
  EXPECT_EQ(HexEncode(key.View()), HexEncode(openssl.Content("derived")));
}

TEST(KeyAgreement, RefusesAPeerOnAnotherCurveOrOfAnotherType) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey own, AsymmetricKey::Generate(kEcdsaP256));
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey p384, AsymmetricKey::Generate(kEcdsaP384));
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey ed25519, AsymmetricKey::Generate(kEd25519));
  EXPECT_THAT(AgreeEcdh(own, PublicKeyText(p384).value(), 32),
              HasError(ErrorCode::kInvalidArgument,
                       "error parsing peer public key: invalid curve: expected P-256, got P-384"));
  EXPECT_THAT(AgreeEcdh(own, Pem(ed25519.PublicKey().value()), 32),
              HasError(ErrorCode::kInvalidArgument,
                       "error parsing peer public key: invalid key type: expected ecdsa-p256, got "
                       "an Ed25519 key"));
}

TEST(KeyAgreement, RefusesAPeerThatIsNoPoint) {
  const Vector& vector = kVectors[0];
  const AsymmetricKey own = OwnKey(vector);
  Bytes off_curve = PeerSpki(vector);
  off_curve.back() ^= 1U;
  EXPECT_THAT(AgreeEcdh(own, Pem(off_curve), 32),
              HasError(ErrorCode::kInvalidArgument,
                       "error parsing peer public key: EC point is not on the curve"));
  EXPECT_THAT(AgreeEcdh(own, Pem(EcPublicKeyInfo(kP256Oid, {0})), 32),
              HasError(ErrorCode::kInvalidArgument,
                       "error parsing peer public key: EC point is at infinity"));
  EXPECT_THAT(
      AgreeEcdh(own, "nonsense", 32),
      HasError(ErrorCode::kInvalidArgument, "error parsing peer public key: not in PEM format"));
}

TEST(KeyAgreement, RefusesABaseKeyThatCannotAgree) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey ed25519, AsymmetricKey::Generate(kEd25519));
  const std::string peer = Pem(PeerSpki(kVectors[0]));
  EXPECT_THAT(AgreeEcdh(ed25519, peer, 32),
              HasError(ErrorCode::kInvalidArgument,
                       "base key type ed25519 does not support key agreement"));
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey public_only, ImportPublicKey(kEcdsaP256, peer));
  EXPECT_THAT(AgreeEcdh(public_only, peer, 32),
              HasError(ErrorCode::kInvalidArgument,
                       "base key version does not have a private counterpart"));
  EXPECT_THAT(AgreeEcdh(OwnKey(kVectors[0]), peer, 0), HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms
