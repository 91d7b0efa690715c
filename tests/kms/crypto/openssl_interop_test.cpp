// SPDX-License-Identifier: Apache-2.0
// What this service signs and encrypts, the `openssl` command line verifies and decrypts, and the
// other way round.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kms/crypto/rsa_encryption.h"
#include "kms/crypto/signature.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using testing::IsOk;
using testing::IsOkAndHolds;
using testing::OpensslCommand;
using testing::TestKey;
using testing::TestKeyPkcs8;

using enum AsymmetricAlgorithm;

constexpr const char* kMessage = "what both sides sign";

// The hashes that every version of the command knows by these names.
struct NamedHash {
  HashAlgorithm algorithm;
  const char* name;
};
constexpr NamedHash kHashes[] = {
    {HashAlgorithm::kSha1, "sha1"},         {HashAlgorithm::kSha2_224, "sha224"},
    {HashAlgorithm::kSha2_256, "sha256"},   {HashAlgorithm::kSha2_384, "sha384"},
    {HashAlgorithm::kSha2_512, "sha512"},   {HashAlgorithm::kSha3_224, "sha3-224"},
    {HashAlgorithm::kSha3_256, "sha3-256"}, {HashAlgorithm::kSha3_384, "sha3-384"},
    {HashAlgorithm::kSha3_512, "sha3-512"}};

class OpensslInterop : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  void SetUp() override {
    openssl_.Write("message", kMessage);
    openssl_.Write("private.der", TestKeyPkcs8(GetParam()));
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, key_.PublicKey());
    openssl_.Write("public.der", spki);
  }

  // `options` are those of `openssl dgst` and mean what `wanted` means.
  void ExpectBothWays(const SignatureOptions& wanted, const std::string& options) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes ours, CreateSignature(key_, wanted, AsBytes(kMessage)));
    openssl_.Write("signature", ours);
    EXPECT_TRUE(openssl_.Run("dgst " + options +
                             " -keyform DER -verify public.der -signature signature message"));
    EXPECT_TRUE(openssl_.Run("dgst " + options +
                             " -keyform DER -sign private.der -out theirs message"));
    EXPECT_THAT(VerifySignature(key_, wanted, AsBytes(kMessage), openssl_.Content("theirs")),
                IsOkAndHolds(true))
        << options;
    openssl_.Write("message", "what nobody signed");
    EXPECT_FALSE(openssl_.Run("dgst " + options +
                              " -keyform DER -verify public.der -signature signature message"));
    openssl_.Write("message", kMessage);
  }

  OpensslCommand openssl_;
  const AsymmetricKey key_ = TestKey(GetParam());
};

class OpensslEcdsa : public OpensslInterop {};

TEST_P(OpensslEcdsa, VerifiesOurSignaturesAndWeVerifyIts) {
  for (const NamedHash& hash : kHashes) {
    ExpectBothWays({.hash = hash.algorithm}, std::string("-") + hash.name);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryCurve, OpensslEcdsa,
                         ::testing::Values(kEcdsaP256, kEcdsaP384, kEcdsaP521));

class OpensslEd25519 : public OpensslInterop {};

TEST_P(OpensslEd25519, SignsTheSame) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes ours, CreateSignature(key_, {}, AsBytes(kMessage)));
  ASSERT_TRUE(openssl_.Run(
      "pkeyutl -sign -rawin -in message -keyform DER -inkey private.der -out theirs"));
  EXPECT_EQ(openssl_.Content("theirs"), ours);
  EXPECT_TRUE(openssl_.Run("pkeyutl -verify -rawin -in message -pubin -keyform DER "
                           "-inkey public.der -sigfile theirs"));
}

INSTANTIATE_TEST_SUITE_P(TheOnlyOne, OpensslEd25519, ::testing::Values(kEd25519));

class OpensslRsa : public OpensslInterop {};

TEST_P(OpensslRsa, VerifiesOurPkcs1SignaturesAndWeVerifyIts) {
  for (const NamedHash& hash : kHashes) {
    ExpectBothWays({.hash = hash.algorithm, .rsa = RsaSignatureScheme::kPkcs1v15},
                   std::string("-") + hash.name);
  }
}

TEST_P(OpensslRsa, VerifiesOurPssSignaturesAndWeVerifyIts) {
  struct Salt {
    std::int64_t ours;
    const char* theirs;
  };
  for (const NamedHash& hash : kHashes) {
    for (const Salt& salt : {Salt{kPssSaltAuto, "max"}, Salt{kPssSaltHash, "digest"},
                             Salt{17, "17"}}) {
      ExpectBothWays({.hash = hash.algorithm, .salt_length = salt.ours},
                     std::string("-") + hash.name + " -sigopt rsa_padding_mode:pss" +
                         " -sigopt rsa_pss_saltlen:" + salt.theirs);
    }
  }
}

// The command signs hashes without naming them: what "none" means.
TEST_P(OpensslRsa, SignsBareBytesTheSame) {
  const SignatureOptions bare{
      .hash = std::nullopt, .prehashed = true, .rsa = RsaSignatureScheme::kPkcs1v15};
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes ours, CreateSignature(key_, bare, AsBytes(kMessage)));
  ASSERT_TRUE(openssl_.Run(
      "pkeyutl -sign -in message -keyform DER -inkey private.der -out theirs"));
  EXPECT_EQ(openssl_.Content("theirs"), ours);
}

struct Padding {
  RsaEncryptionPadding ours;
  const char* theirs;
};
constexpr Padding kPaddings[] = {
    {RsaEncryptionPadding::kOaep,
     " -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"},
    {RsaEncryptionPadding::kPkcs1v15, " -pkeyopt rsa_padding_mode:pkcs1"}};

TEST_P(OpensslRsa, DecryptsOurCiphertextsAndWeDecryptIts) {
  for (const Padding& padding : kPaddings) {
    Bytes ours(RsaCiphertextBytes(GetParam()));
    ASSERT_THAT(RsaEncrypt(key_, padding.ours, AsBytes(kMessage), ours), IsOk());
    openssl_.Write("ours", ours);
    ASSERT_TRUE(openssl_.Run("pkeyutl -decrypt -in ours -keyform DER -inkey private.der" +
                             std::string(padding.theirs)));
    EXPECT_EQ(openssl_.Output(), kMessage);
    ASSERT_TRUE(openssl_.Run(
        "pkeyutl -encrypt -in message -pubin -keyform DER -inkey public.der -out theirs" +
        std::string(padding.theirs)));
    PlaintextBuffer plaintext;
    ASSERT_THAT(RsaDecrypt(key_, padding.ours, openssl_.Content("theirs"), plaintext), IsOk());
    EXPECT_EQ(AsText(plaintext.View()), kMessage);
  }
}

INSTANTIATE_TEST_SUITE_P(EverySize, OpensslRsa, ::testing::Values(kRsa2048, kRsa3072, kRsa4096));

// ---- keys --------------------------------------------------------------------------------------

class OpensslKey : public OpensslInterop {};

TEST_P(OpensslKey, DerivesTheSamePublicHalf) {
  ASSERT_TRUE(openssl_.Run("pkey -inform DER -in private.der -pubout -outform DER -out theirs"));
  EXPECT_THAT(key_.PublicKey(), IsOkAndHolds(openssl_.Content("theirs")));
}

TEST_P(OpensslKey, FindsOurFreshKeysSound) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey fresh, AsymmetricKey::Generate(GetParam()));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes pkcs8, fresh.ToPkcs8());
  openssl_.Write("fresh.der", pkcs8.View());
  EXPECT_TRUE(openssl_.Run("pkey -check -noout -inform DER -in fresh.der"));
}

INSTANTIATE_TEST_SUITE_P(EveryCheapType, OpensslKey,
                         ::testing::Values(kEcdsaP256, kEcdsaP384, kEcdsaP521, kEd25519,
                                           kRsa2048));

}  // namespace
}  // namespace kms
