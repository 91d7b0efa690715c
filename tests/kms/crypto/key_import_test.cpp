// SPDX-License-Identifier: Apache-2.0
// transit-api 5.8, 6.21: which encodings are keys of a type; with openssl as the source.
#include "kms/crypto/key_import.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

#include "tests/support/asymmetric_keys.h"
#include "tests/support/der_builder.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using namespace kms::testing;  // NOLINT: the builders of this test
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using enum AsymmetricAlgorithm;

constexpr std::string_view kParsing = "error importing key: error parsing asymmetric key: ";
constexpr std::string_view kParsingPublic = "error importing key: error parsing public key: ";

std::string Text(std::string_view context, std::string_view reason) {
  std::string text(context);
  text += reason;
  return text;
}

struct MadeKey {
  Bytes pkcs8;
  Bytes spki;
  std::string public_pem;
};

MadeKey MakeKey(const std::string& generate) {
  OpensslCommand openssl;
  EXPECT_TRUE(openssl.Run("genpkey " + generate + " -out key.pem"));
  EXPECT_TRUE(openssl.Run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der"));
  EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -pubout -out public.pem"));
  EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -pubout -outform DER -out public.der"));
  return {openssl.Content("key.der"), openssl.Content("public.der"), openssl.Text("public.pem")};
}

// A key of tests/vectors and what openssl says of it, made when it is first asked for.
const MadeKey& Made(AsymmetricAlgorithm algorithm) {
  static std::map<AsymmetricAlgorithm, MadeKey> keys;
  MadeKey& made = keys[algorithm];
  if (made.pkcs8.empty()) {
    OpensslCommand openssl;
    made.pkcs8 = TestKeyPkcs8(algorithm);
    openssl.Write("key.der", made.pkcs8);
    EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -pubout -out public.pem"));
    EXPECT_TRUE(openssl.Run("pkey -in key.der -inform DER -pubout -outform DER -out public.der"));
    made.spki = openssl.Content("public.der");
    made.public_pem = openssl.Text("public.pem");
  }
  return made;
}

TEST(KeyImport, TakesPrivateKeysThatOpensslMade) {
  for (const AsymmetricAlgorithm algorithm : kAsymmetricAlgorithms) {
    SCOPED_TRACE(KeyTypeName(algorithm));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                             ImportPrivateKey(algorithm, Made(algorithm).pkcs8));
    EXPECT_TRUE(key.has_private());
    EXPECT_EQ(key.algorithm(), algorithm);
    EXPECT_THAT(key.PublicKey(), IsOkAndHolds(Made(algorithm).spki));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes pkcs8, key.ToPkcs8());
    EXPECT_EQ(CopyOf(pkcs8.View()), Made(algorithm).pkcs8);
  }
}

TEST(KeyImport, TakesPublicKeysThatOpensslMade) {
  for (const AsymmetricAlgorithm algorithm : kAsymmetricAlgorithms) {
    SCOPED_TRACE(KeyTypeName(algorithm));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                             ImportPublicKey(algorithm, Made(algorithm).public_pem));
    EXPECT_FALSE(key.has_private());
    EXPECT_THAT(key.PublicKey(), IsOkAndHolds(Made(algorithm).spki));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey pair,
                             ImportPrivateKey(algorithm, Made(algorithm).pkcs8));
    EXPECT_TRUE(pair.SamePublicKey(key));
  }
}

// ---- the accepted oddities of transit-api 5.8 -------------------------------------------------

const Bytes& Seed() {
  static const Bytes seed =
      FromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");  // RFC 8032, 7.1
  return seed;
}
const Bytes& SeedPublic() {
  static const Bytes key =
      FromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  return key;
}

TEST(KeyImport, TakesEd25519InTheClothesOfAnEcKey) {
  for (const std::string_view curve : {"2b06010401da470f01", "2b656e"}) {
    for (const Bytes& der :
         {EcPrivateKeyInfo(curve, Seed()), EcPrivateKeyInfo(curve, Seed(), SeedPublic()),
          EcPrivateKeyInfo(curve, Seed(), Joined({{0x40}, SeedPublic()}))}) {
      KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, ImportPrivateKey(kEd25519, der));
      EXPECT_THAT(key.Ed25519PublicKey(), IsOkAndHolds(SeedPublic()));
    }
    EXPECT_THAT(
        ImportPrivateKey(kEcdsaP256, EcPrivateKeyInfo(curve, Seed())),
        HasError(ErrorCode::kInvalidArgument,
                 "error importing key: invalid key type: expected ecdsa-p256, got an Ed25519 key"));
  }
}

TEST(KeyImport, TakesTheRsassaPssIdentifier) {
  const MadeKey made = MakeKey(
      "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 "
      "-pkeyopt rsa_pss_keygen_mgf1_md:sha256 -pkeyopt rsa_pss_keygen_saltlen:32");
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, ImportPrivateKey(kRsa2048, made.pkcs8));
  EXPECT_TRUE(key.has_private());
  const MadeKey unrestricted = MakeKey("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048");
  EXPECT_THAT(ImportPrivateKey(kRsa2048, unrestricted.pkcs8), IsOk());
}

TEST(KeyImport, TakesVersion2WithItsPublicHalf) {  // RFC 8410, 10.3
  const Bytes der = FromHex(
      "3072020101300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f4475"
      "5"
      "842a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273812100"
      "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, ImportPrivateKey(kEd25519, der));
  EXPECT_THAT(
      key.Ed25519PublicKey(),
      IsOkAndHolds(FromHex("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")));
}

TEST(KeyImport, TakesAnEcKeyWithOrWithoutItsPublicHalfAndCurve) {
  const Bytes& pkcs8 = Made(kEcdsaP256).pkcs8;
  const Bytes scalar(pkcs8.begin() + 36, pkcs8.begin() + 68);
  const Bytes padded = Joined({{0, 0}, scalar});
  const Bytes with_curve = PrivateKeyInfo(
      EcAlgorithm(kP256Oid),
      DerSequence({DerInteger({1}), DerOctets(scalar), DerElement(0xa0, DerIdentifier(kP256Oid))}));
  for (const Bytes& der :
       {EcPrivateKeyInfo(kP256Oid, scalar), EcPrivateKeyInfo(kP256Oid, padded), with_curve}) {
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, ImportPrivateKey(kEcdsaP256, der));
    EXPECT_THAT(key.PublicKey(), IsOkAndHolds(Made(kEcdsaP256).spki));
  }
}

TEST(KeyImport, TakesACompressedPoint) {
  for (const AsymmetricAlgorithm algorithm : {kEcdsaP256, kEcdsaP384, kEcdsaP521}) {
    OpensslCommand openssl;
    openssl.Write("public.pem", Made(algorithm).public_pem);
    ASSERT_TRUE(openssl.Run("ec -pubin -in public.pem -conv_form compressed -out compressed.pem"));
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                             ImportPublicKey(algorithm, openssl.Text("compressed.pem")));
    EXPECT_THAT(key.PublicKey(), IsOkAndHolds(Made(algorithm).spki));
  }
}

// ---- another type than asked ------------------------------------------------------------------

std::string MismatchText(AsymmetricAlgorithm expected, AsymmetricAlgorithm got) {
  constexpr std::array<const char*, 3> kCurves = {"P-256", "P-384", "P-521"};
  const auto row = [](AsymmetricAlgorithm algorithm) {
    return static_cast<std::size_t>(algorithm);
  };
  if (IsEcdsa(expected) && IsEcdsa(got)) {
    return std::string("error importing key: invalid curve: expected ") + kCurves[row(expected)] +
           ", got " + kCurves[row(got)];
  }
  if (IsRsa(expected) && IsRsa(got)) {
    return "error importing key: invalid key size: expected " +
           std::to_string(RsaBits(expected) / 8) + " bytes, got " +
           std::to_string(RsaBits(got) / 8) + " bytes";
  }
  return "error importing key: invalid key type: expected " + std::string(KeyTypeName(expected)) +
         ", got " +
         (IsRsa(got)        ? "an RSA key"
          : got == kEd25519 ? "an Ed25519 key"
                            : "an EC key");
}

TEST(KeyImport, NamesWhatItGotInsteadOfTheType) {
  for (const AsymmetricAlgorithm expected : kAsymmetricAlgorithms) {
    for (const AsymmetricAlgorithm got : kAsymmetricAlgorithms) {
      if (expected == got) {
        continue;
      }
      const std::string text = MismatchText(expected, got);
      EXPECT_THAT(ImportPrivateKey(expected, Made(got).pkcs8),
                  HasError(ErrorCode::kInvalidArgument, text));
      EXPECT_THAT(ImportPublicKey(expected, Made(got).public_pem),
                  HasError(ErrorCode::kInvalidArgument, text));
    }
  }
}

TEST(KeyImport, NamesACurveThatTheServiceDoesNotHave) {
  const MadeKey made = MakeKey("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1");
  const std::string text = "error importing key: invalid curve: expected P-256, got secp256k1";
  EXPECT_THAT(ImportPrivateKey(kEcdsaP256, made.pkcs8),
              HasError(ErrorCode::kInvalidArgument, text));
  EXPECT_THAT(ImportPublicKey(kEcdsaP256, made.public_pem),
              HasError(ErrorCode::kInvalidArgument, text));
}

TEST(KeyImport, RefusesExplicitCurveParameters) {
  const MadeKey made =
      MakeKey("-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit");
  EXPECT_THAT(ImportPrivateKey(kEcdsaP256, made.pkcs8),
              HasError(ErrorCode::kInvalidArgument,
                       Text(kParsing, "an EC key without a named curve is not supported")));
  EXPECT_THAT(ImportPublicKey(kEcdsaP256, made.public_pem),
              HasError(ErrorCode::kInvalidArgument, StartsWith(kParsingPublic)));
}

TEST(KeyImport, NamesAnUnknownAlgorithm) {
  const MadeKey made = MakeKey("-algorithm X25519");
  EXPECT_THAT(
      ImportPrivateKey(kEd25519, made.pkcs8),
      HasError(ErrorCode::kInvalidArgument, Text(kParsing, "unknown algorithm: 1.3.101.110")));
  EXPECT_THAT(ImportPublicKey(kEd25519, made.public_pem),
              HasError(ErrorCode::kInvalidArgument,
                       Text(kParsingPublic, "unknown algorithm: 1.3.101.110")));
}

// ---- what is no key ---------------------------------------------------------------------------

TEST(KeyImport, RefusesEveryTruncationAndExtension) {
  for (const AsymmetricAlgorithm algorithm : {kEcdsaP256, kEd25519, kRsa2048}) {
    const MadeKey& made = Made(algorithm);
    for (std::size_t size = 0; size < made.pkcs8.size(); ++size) {
      EXPECT_THAT(ImportPrivateKey(algorithm, ByteView(made.pkcs8).first(size)),
                  HasError(ErrorCode::kInvalidArgument, StartsWith(kParsing)));
    }
    for (std::size_t size = 0; size < made.spki.size(); ++size) {
      EXPECT_THAT(ImportPublicKeyDer(algorithm, ByteView(made.spki).first(size)),
                  HasError(ErrorCode::kInvalidArgument, StartsWith(kParsingPublic)));
    }
    EXPECT_THAT(ImportPrivateKey(algorithm, Joined({made.pkcs8, {0}})),
                HasError(ErrorCode::kInvalidArgument, StartsWith(kParsing)));
    EXPECT_THAT(ImportPublicKeyDer(algorithm, Joined({made.spki, {0}})),
                HasError(ErrorCode::kInvalidArgument, StartsWith(kParsingPublic)));
  }
}

// A changed byte makes another key or none; never the same key, never an internal error.
TEST(KeyImport, NoChangedByteOfAnEcKeyImportsAsTheSameKey) {
  const Bytes& good = Made(kEcdsaP256).pkcs8;
  constexpr std::size_t kVersion = 5;  // 0 and 1 say the same of this key
  for (std::size_t index = 0; index < good.size(); ++index) {
    if (index == kVersion) {
      continue;
    }
    for (const std::uint8_t change : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
      Bytes bad = good;
      bad[index] ^= change;
      const Result<AsymmetricKey> key = ImportPrivateKey(kEcdsaP256, bad);
      EXPECT_THAT(key, HasError(ErrorCode::kInvalidArgument)) << index;
    }
  }
}

TEST(KeyImport, RefusesOtherFormsOfAPrivateKey) {
  OpensslCommand openssl;
  openssl.Write("key.der", Made(kRsa2048).pkcs8);
  ASSERT_TRUE(openssl.Run("rsa -in key.der -inform DER -traditional -outform DER -out pkcs1.der"));
  ASSERT_TRUE(
      openssl.Run("pkcs8 -topk8 -in key.der -inform DER -outform DER -out encrypted.der "
                  "-passout pass:secret"));
  ASSERT_TRUE(openssl.Run("pkey -in key.der -inform DER -out key.pem"));
  for (const char* const name : {"pkcs1.der", "encrypted.der", "key.pem"}) {
    EXPECT_THAT(
        ImportPrivateKey(kRsa2048, openssl.Content(name)),
        HasError(ErrorCode::kInvalidArgument, AllOf(StartsWith(kParsing), HasSubstr("PKCS #8"))))
        << name;
  }
}

TEST(KeyImport, RefusesMultiPrimeRsa) {
  const MadeKey made =
      MakeKey("-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3");
  EXPECT_THAT(ImportPrivateKey(kRsa2048, made.pkcs8),
              HasError(ErrorCode::kInvalidArgument,
                       Text(kParsing, "RSA keys with more than two factors are not supported")));
}

TEST(KeyImport, RefusesWhatIsNotPem) {
  const std::string& pem = Made(kEcdsaP256).public_pem;
  const std::string text = Text(kParsingPublic, "not in PEM format");
  for (const std::string& bad :
       {std::string(), std::string("hello"), std::string("-----BEGIN PUBLIC KEY-----"),
        pem.substr(0, pem.size() / 2), "x" + pem, std::string(AsText(Made(kEcdsaP256).spki))}) {
    EXPECT_THAT(ImportPublicKey(kEcdsaP256, bad), HasError(ErrorCode::kInvalidArgument, text));
  }
}

TEST(KeyImport, TakesPemWithOtherTextBeforeItAndWindowsLines) {
  std::string pem = Made(kEcdsaP256).public_pem;
  EXPECT_THAT(ImportPublicKey(kEcdsaP256, "a comment\n" + pem + "more"), IsOk());
  std::string windows;
  for (const char letter : pem) {
    windows += letter == '\n' ? "\r\n" : std::string(1, letter);
  }
  EXPECT_THAT(ImportPublicKey(kEcdsaP256, windows), IsOk());
}

// ---- symmetric keys ---------------------------------------------------------------------------

TEST(KeyImport, C14_SymmetricKeyOfAWrongLengthIsRefused) {
  constexpr KeyLengths kAes256{.min_bytes = 32, .max_bytes = 32};
  constexpr KeyLengths kHmac{.min_bytes = 32, .max_bytes = 512};
  struct Row {
    std::string_view type;
    KeyLengths lengths;
    std::size_t size;
  };
  for (const Row& row : {Row{"aes256-gcm96", kAes256, 0},
                         {"aes256-gcm96", kAes256, 16},
                         {"aes256-gcm96", kAes256, 31},
                         {"aes256-gcm96", kAes256, 33},
                         {"hmac", kHmac, 31},
                         {"hmac", kHmac, 513}}) {
    EXPECT_THAT(ImportSymmetricKey(row.type, row.lengths, Bytes(row.size, 1)),
                HasError(ErrorCode::kInvalidArgument,
                         "error importing key: invalid key size " + std::to_string(row.size) +
                             " bytes for key type " + std::string(row.type)));
  }
  for (const std::size_t size : {32U, 33U, 512U}) {
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes key,
                             ImportSymmetricKey("hmac", kHmac, Bytes(size, 1)));
    EXPECT_EQ(CopyOf(key.View()), Bytes(size, 1));
  }
}

TEST(KeyImport, C14_SymmetricKeyOfZerosIsRefused) {
  constexpr KeyLengths kAny{.min_bytes = 1, .max_bytes = 64};
  EXPECT_THAT(ImportSymmetricKey("aes256-gcm96", kAny, Bytes(32)),
              HasError(ErrorCode::kInvalidArgument, "error importing key: the key is all zeros"));
  Bytes nearly(32);
  nearly.back() = 1;
  EXPECT_THAT(ImportSymmetricKey("aes256-gcm96", kAny, nearly), IsOk());
}

}  // namespace
}  // namespace kms
