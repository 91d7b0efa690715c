// SPDX-License-Identifier: Apache-2.0
// Every private key file that the openssl program writes becomes PKCS #8 that imports.
#include "kms/crypto/private_key_text.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "kms/base/base64.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/key_import.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::OpensslCommand;
using ::testing::HasSubstr;
using enum AsymmetricAlgorithm;

struct Maker {
  AsymmetricAlgorithm algorithm;
  std::string arguments;    // of the program, writing to key.pem
  std::string traditional;  // writes the older form to old.pem and old.der; empty: there is none
};

const std::vector<Maker>& Makers() {
  static const std::vector<Maker> makers = {
      {kRsa2048, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
       "rsa -traditional -in key.pem"},
      {kEcdsaP256, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
       "ec -in key.pem"},
      {kEcdsaP384, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem",
       "ec -in key.pem"},
      {kEcdsaP521, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key.pem",
       "ec -in key.pem"},
      {kEd25519, "genpkey -algorithm ED25519 -out key.pem", ""},
  };
  return makers;
}

// The public half, as the program computes it from key.pem.
Bytes PublicKeyOf(OpensslCommand& openssl) {
  EXPECT_TRUE(openssl.Run("pkey -in key.pem -pubout -outform DER -out public.der"));
  return openssl.Content("public.der");
}

void ExpectImports(const Maker& maker, const Result<SecretBytes>& info, const Bytes& public_key) {
  ASSERT_THAT(info, IsOk()) << maker.arguments;
  const auto key = ImportPrivateKey(maker.algorithm, info->View());
  ASSERT_THAT(key, IsOk()) << maker.arguments;
  EXPECT_EQ(key->PublicKey().value(), public_key) << maker.arguments;
}

TEST(PrivateKeyText, TakesPkcs8OfEveryTypeAsPemAndDer) {
  for (const Maker& maker : Makers()) {
    OpensslCommand openssl;
    ASSERT_TRUE(openssl.Run(maker.arguments));
    ASSERT_TRUE(openssl.Run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der"));
    const Bytes public_key = PublicKeyOf(openssl);
    ExpectImports(maker, PrivateKeyInfoFromPem(openssl.Text("key.pem")), public_key);
    ExpectImports(maker, PrivateKeyInfoFromDer(openssl.Content("key.der")), public_key);
  }
}

TEST(PrivateKeyText, TakesPkcs1AndSec1AsPemAndDer) {
  for (const Maker& maker : Makers()) {
    if (maker.traditional.empty()) {
      continue;
    }
    OpensslCommand openssl;
    ASSERT_TRUE(openssl.Run(maker.arguments));
    ASSERT_TRUE(openssl.Run(maker.traditional + " -out old.pem"));
    ASSERT_TRUE(openssl.Run(maker.traditional + " -outform DER -out old.der"));
    ASSERT_THAT(openssl.Text("old.pem"), Not(HasSubstr("BEGIN PRIVATE KEY")));
    const Bytes public_key = PublicKeyOf(openssl);
    ExpectImports(maker, PrivateKeyInfoFromPem(openssl.Text("old.pem")), public_key);
    ExpectImports(maker, PrivateKeyInfoFromDer(openssl.Content("old.der")), public_key);
  }
}

TEST(PrivateKeyText, PassesOverTextAndBlocksBeforeTheKey) {
  OpensslCommand openssl;
  const Maker& maker = Makers()[1];
  ASSERT_TRUE(openssl.Run("ecparam -name prime256v1 -genkey -out key.pem"));
  ASSERT_THAT(openssl.Text("key.pem"), HasSubstr("BEGIN EC PARAMETERS"));
  ExpectImports(maker, PrivateKeyInfoFromPem("subject: me\r\n" + openssl.Text("key.pem")),
                PublicKeyOf(openssl));
}

TEST(PrivateKeyText, TakesCarriageReturns) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run(Makers()[4].arguments));
  std::string text;
  for (const char letter : openssl.Text("key.pem")) {
    text += letter == '\n' ? std::string("\r\n") : std::string(1, letter);
  }
  ExpectImports(Makers()[4], PrivateKeyInfoFromPem(text), PublicKeyOf(openssl));
}

TEST(PrivateKeyText, SaysWhatToDoWithAnEncryptedKey) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run(Makers()[0].arguments));
  ASSERT_TRUE(openssl.Run("pkey -in key.pem -aes256 -passout pass:x -out new.pem"));
  ASSERT_TRUE(openssl.Run("rsa -traditional -in key.pem -aes256 -passout pass:x -out old.pem"));
  for (const char* file : {"new.pem", "old.pem"}) {
    EXPECT_THAT(PrivateKeyInfoFromPem(openssl.Text(file)),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("openssl pkey")))
        << file;
  }
}

TEST(PrivateKeyText, RefusesWhatIsNoPrivateKey) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run(Makers()[4].arguments));
  const Bytes public_key = PublicKeyOf(openssl);
  const std::string refusal = "not a private key in PKCS#8, PKCS#1 or SEC 1 form";
  for (const Bytes& der : {Bytes{}, Bytes{0x30}, Bytes{0x30, 0x00}, Bytes{0x30, 0x03, 2, 1, 0},
                           Bytes{0x30, 0x05, 2, 1, 0, 5, 0}, Bytes(32, 0x11), public_key}) {
    EXPECT_THAT(PrivateKeyInfoFromDer(der), HasError(ErrorCode::kInvalidArgument, refusal));
  }
  const std::string no_pem = "no private key in PEM format";
  for (const char* text : {"", "-----BEGIN PRIVATE KEY", "-----BEGIN PRIVATE KEY-----\nAAAA",
                           "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
                           "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    EXPECT_THAT(PrivateKeyInfoFromPem(text), HasError(ErrorCode::kInvalidArgument, no_pem)) << text;
  }
  ASSERT_TRUE(openssl.Run("pkey -in key.pem -pubout -out public.pem"));
  EXPECT_THAT(PrivateKeyInfoFromPem(openssl.Text("public.pem")),
              HasError(ErrorCode::kInvalidArgument, no_pem));
}

TEST(PrivateKeyText, RefusesAnEcKeyWithoutItsCurve) {
  const Bytes der = {0x30, 0x06, 2, 1, 1, 4, 1, 7};
  EXPECT_THAT(PrivateKeyInfoFromDer(der),
              HasError(ErrorCode::kInvalidArgument, "the EC private key does not name its curve"));
}

TEST(PrivateKeyText, EveryTruncationIsRefused) {
  OpensslCommand openssl;
  ASSERT_TRUE(openssl.Run("ecparam -name prime256v1 -genkey -noout -out key.pem"));
  ASSERT_TRUE(openssl.Run("ec -in key.pem -outform DER -out old.der"));
  const Bytes der = openssl.Content("old.der");
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_THAT(PrivateKeyInfoFromDer(ByteView(der).first(size)),
                HasError(ErrorCode::kInvalidArgument))
        << size;
  }
}

TEST(PrivateKeyText, MakesEd25519OfItsSeedAlsoWithThePublicKey) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, AsymmetricKey::Generate(kEd25519));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes seed, key.Ed25519Seed());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes public_key, key.Ed25519PublicKey());
  Bytes pair = CopyOf(seed.View());
  pair.insert(pair.end(), public_key.begin(), public_key.end());
  const Maker& maker = Makers()[4];
  ExpectImports(maker, PrivateKeyInfoFromEd25519(seed.View()), key.PublicKey().value());
  ExpectImports(maker, PrivateKeyInfoFromEd25519(pair), key.PublicKey().value());
  pair.back() ^= 1U;
  EXPECT_THAT(PrivateKeyInfoFromEd25519(pair), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(PrivateKeyInfoFromEd25519(ByteView(pair).first(33)),
              HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms
