// SPDX-License-Identifier: Apache-2.0
// Shares to a holder's key: they open by that key, in that context and unchanged, and not
// otherwise.
#include "kms/crypto/share_encryption.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kms/base/random.h"
#include "kms/crypto/pem_text.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::kms::testing::FromHex;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::OpensslCommand;
using ::kms::testing::ReadVectors;
using ::kms::testing::TestKey;
using ::kms::testing::TestKeyPkcs8;
using ::testing::HasSubstr;
using enum AsymmetricAlgorithm;

constexpr std::string_view kContext = "what it is for";

SecretBytes Secret(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)).value(); }

HolderPrivateKey::AskPassphrase Answer(std::string_view passphrase) {
  return [passphrase]() -> Result<SecretBytes> { return SecretBytes::CopyOf(AsBytes(passphrase)); };
}

HolderPrivateKey FromPkcs8(ByteView der) {
  return HolderPrivateKey::FromPem(
             internal::EncodePem("PRIVATE KEY", der, internal::PemEnding::kNewline), nullptr)
      .value();
}

HolderPrivateKey RsaHolder(AsymmetricAlgorithm algorithm = kRsa3072) {
  return FromPkcs8(TestKeyPkcs8(algorithm));
}

TEST(ShareEncryption, OpensForTheHolderOfEveryKindOfKey) {
  const std::vector<std::string_view> kinds = {"RSA-3072", "RSA-4096", "X25519"};
  std::size_t index = 0;
  for (const HolderPrivateKey& holder :
       {RsaHolder(kRsa3072), RsaHolder(kRsa4096), HolderPrivateKey::Generate().value()}) {
    EXPECT_EQ(HolderKeyKind(holder.public_key()), kinds[index++]);
    const auto encrypted =
        EncryptToHolder(holder.public_key(), Secret("a share"), AsBytes(kContext));
    ASSERT_THAT(encrypted, IsOk());
    EXPECT_TRUE(IsEncryptedTo(*encrypted, holder.public_key()));
    const auto opened = holder.Open(*encrypted, AsBytes(kContext));
    ASSERT_THAT(opened, IsOk());
    EXPECT_EQ(AsText(opened->View()), "a share");
  }
}

TEST(ShareEncryption, OpensFrozenSamples) {
  const auto rows = ReadVectors("holder_share_v1.txt");
  ASSERT_EQ(rows.size(), 2U);
  for (const auto& row : rows) {  // private key, context, secret, encrypted
    const auto opened = FromPkcs8(FromHex(row.at(0))).Open(FromHex(row.at(3)), FromHex(row.at(1)));
    ASSERT_THAT(opened, IsOk());
    EXPECT_EQ(CopyOf(opened->View()), FromHex(row.at(2)));
  }
}

TEST(ShareEncryption, RefusesEveryFlippedByteAndEveryOtherLength) {
  const HolderPrivateKey holder = HolderPrivateKey::Generate().value();
  const Bytes good =
      EncryptToHolder(holder.public_key(), Secret("a share"), AsBytes(kContext)).value();
  for (std::size_t index = 0; index < good.size(); ++index) {
    Bytes bad = good;
    bad[index] ^= 0x01;
    EXPECT_THAT(holder.Open(bad, AsBytes(kContext)), HasError(ErrorCode::kDecryptionFailed))
        << index;
    EXPECT_THAT(holder.Open(ByteView(good).first(index), AsBytes(kContext)),
                HasError(ErrorCode::kDecryptionFailed));
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(holder.Open(longer, AsBytes(kContext)), HasError(ErrorCode::kDecryptionFailed));
}

TEST(ShareEncryption, RefusesDamageOfRsaSharesWithOneText) {
  const HolderPrivateKey holder = RsaHolder();
  const Bytes good =
      EncryptToHolder(holder.public_key(), Secret("a share"), AsBytes(kContext)).value();
  for (std::size_t index = 0; index < good.size(); index += 17) {
    Bytes bad = good;
    bad[index] ^= 0x80;
    EXPECT_THAT(holder.Open(bad, AsBytes(kContext)),
                HasError(ErrorCode::kDecryptionFailed, "the share does not open by this key"));
  }
}

TEST(ShareEncryption, RefusesAnotherContextAndAnotherHolder) {
  const HolderPrivateKey holder = HolderPrivateKey::Generate().value();
  const Bytes good =
      EncryptToHolder(holder.public_key(), Secret("a share"), AsBytes(kContext)).value();
  EXPECT_THAT(holder.Open(good, AsBytes("another")), HasError(ErrorCode::kDecryptionFailed));
  EXPECT_THAT(HolderPrivateKey::Generate().value().Open(good, AsBytes(kContext)),
              HasError(ErrorCode::kDecryptionFailed));
  EXPECT_THAT(RsaHolder().Open(good, AsBytes(kContext)), HasError(ErrorCode::kDecryptionFailed));
  EXPECT_FALSE(IsEncryptedTo(good, RsaHolder().public_key()));
}

TEST(ShareEncryption, NeverRepeatsItself) {
  const HolderPrivateKey holder = HolderPrivateKey::Generate().value();
  EXPECT_NE(EncryptToHolder(holder.public_key(), Secret("s"), {}).value(),
            EncryptToHolder(holder.public_key(), Secret("s"), {}).value());
}

TEST(ShareEncryption, RefusesSecretsThatAreNone) {
  const HolderPrivateKey holder = HolderPrivateKey::Generate().value();
  EXPECT_THAT(EncryptToHolder(holder.public_key(), SecretBytes(), {}),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(EncryptToHolder(holder.public_key(), SecretBytes::OfSize(4097).value(), {}),
              HasError(ErrorCode::kInvalidArgument));
}

TEST(HolderPublicKey, ReadsWhatOpensslWrites) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run("genpkey -algorithm X25519 -out key.pem"));
  ASSERT_TRUE(openssl.Run("pkey -in key.pem -pubout -out public.pem"));
  const auto spki = ReadHolderPublicKey(AsText(openssl.Content("public.pem")));
  ASSERT_THAT(spki, IsOk());
  const auto holder = HolderPrivateKey::FromPem(AsText(openssl.Content("key.pem")), nullptr);
  ASSERT_THAT(holder, IsOk());
  EXPECT_EQ(holder->public_key(), *spki);
  EXPECT_EQ(HolderPublicKeyPem(*spki), AsText(openssl.Content("public.pem")));
}

TEST(HolderPublicKey, RefusesKeysThatAreTooWeakOrOfAnotherKind) {
  for (const AsymmetricAlgorithm algorithm : {kRsa2048, kEcdsaP256, kEd25519}) {
    const Bytes spki = TestKey(algorithm).PublicKey().value();
    EXPECT_THAT(CheckHolderPublicKey(spki),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("RSA of 3072 or 4096 bits")));
    EXPECT_THAT(ReadHolderPublicKey(HolderPublicKeyPem(spki)),
                HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(EncryptToHolder(spki, Secret("s"), {}), HasError(ErrorCode::kInvalidArgument));
  }
  EXPECT_THAT(ReadHolderPublicKey("no key"), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(CheckHolderPublicKey({}), HasError(ErrorCode::kInvalidArgument));
}

// RFC 7748 section 6.1: the secret would be zero, so that everybody could open the share.
TEST(HolderPublicKey, RefusesX25519PointsOfSmallOrder) {
  Bytes spki = HolderPrivateKey::Generate().value().public_key();
  std::fill(spki.end() - 32, spki.end(), std::uint8_t{0});
  EXPECT_THAT(CheckHolderPublicKey(spki), HasError(ErrorCode::kInvalidArgument));
  spki[spki.size() - 32] = 1;
  EXPECT_THAT(CheckHolderPublicKey(spki), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(EncryptToHolder(spki, Secret("s"), {}), HasError(ErrorCode::kInvalidArgument));
}

TEST(HolderPublicKey, HasAFingerprintForReadingAloud) {
  const std::string fingerprint =
      HolderKeyFingerprint(HolderPrivateKey::Generate().value().public_key());
  EXPECT_EQ(fingerprint.size(), 64U + 7U);
  EXPECT_EQ(fingerprint[8], ' ');
}

TEST(HolderPrivateKey, ComesBackFromItsPem) {
  const HolderPrivateKey made = HolderPrivateKey::Generate().value();
  const SecretBytes pem = made.ToPem().value();
  const auto read = HolderPrivateKey::FromPem(AsText(pem.View()), nullptr);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->public_key(), made.public_key());
}

TEST(HolderPrivateKey, ComesBackFromItsEncryptedPem) {
  const HolderPrivateKey made = HolderPrivateKey::Generate().value();
  const SecretBytes pem = made.ToEncryptedPem(Secret("correct horse")).value();
  EXPECT_THAT(std::string(AsText(pem.View())), HasSubstr("BEGIN ENCRYPTED PRIVATE KEY"));
  const auto read = HolderPrivateKey::FromPem(AsText(pem.View()), Answer("correct horse"));
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->public_key(), made.public_key());
  EXPECT_THAT(HolderPrivateKey::FromPem(AsText(pem.View()), Answer("battery staple")),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("passphrase")));
  EXPECT_THAT(HolderPrivateKey::FromPem(AsText(pem.View()), nullptr),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("encrypted")));
  const HolderPrivateKey::AskPassphrase nobody = []() -> Result<SecretBytes> {
    return Unavailable("nobody to ask");
  };
  EXPECT_THAT(HolderPrivateKey::FromPem(AsText(pem.View()), nobody),
              HasError(ErrorCode::kUnavailable));
}

TEST(HolderPrivateKey, IsReadByOpensslWhenEncrypted) {
  OpensslCommand openssl;
  const HolderPrivateKey made = HolderPrivateKey::Generate().value();
  const SecretBytes pem = made.ToEncryptedPem(Secret("correct-horse")).value();
  openssl.Write("key.pem", pem.View());
  ASSERT_TRUE(openssl.Run("pkey -in key.pem -passin pass:correct-horse -pubout -out public.pem"));
  EXPECT_EQ(AsText(openssl.Content("public.pem")), HolderPublicKeyPem(made.public_key()));
}

TEST(HolderPrivateKey, RefusesKeysOfAnotherKind) {
  for (const AsymmetricAlgorithm algorithm : {kRsa2048, kEcdsaP384, kEd25519}) {
    const std::string pem =
        internal::EncodePem("PRIVATE KEY", TestKeyPkcs8(algorithm), internal::PemEnding::kNewline);
    EXPECT_THAT(HolderPrivateKey::FromPem(pem, nullptr), HasError(ErrorCode::kInvalidArgument));
  }
  EXPECT_THAT(HolderPrivateKey::FromPem("", nullptr), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(RsaHolder().ToPem(), HasError(ErrorCode::kFailedPrecondition));
}

}  // namespace
}  // namespace kms
