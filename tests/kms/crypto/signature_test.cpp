// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/signature.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kms/crypto/asymmetric_key.h"
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

using enum AsymmetricAlgorithm;

// The bounds of the salt: 1 and emLen - hLen - 2.
std::int64_t LongestSalt(AsymmetricAlgorithm algorithm, HashAlgorithm hash) {
  return static_cast<std::int64_t>(RsaBits(algorithm) / 8 - TraitsOf(hash).bytes - 2);
}

void AddRsaOptions(AsymmetricAlgorithm algorithm, SignatureOptions options,
                   std::vector<SignatureOptions>& all) {
  for (const std::int64_t salt : {kPssSaltAuto, kPssSaltHash, std::int64_t{1}, std::int64_t{20},
                                  LongestSalt(algorithm, *options.hash)}) {
    options.salt_length = salt;
    all.push_back(options);
  }
  options.rsa = RsaSignatureScheme::kPkcs1v15;
  all.push_back(options);
}

// Everything that may be asked of a signature by this kind of key.
std::vector<SignatureOptions> OptionsFor(AsymmetricAlgorithm algorithm) {
  std::vector<SignatureOptions> all;
  for (const HashTraits& hash : AllHashes()) {
    for (const bool prehashed : {false, true}) {
      SignatureOptions options{.hash = hash.algorithm, .prehashed = prehashed};
      if (IsRsa(algorithm)) {
        AddRsaOptions(algorithm, options, all);
        continue;
      }
      all.push_back(options);
      options.marshaling = SignatureMarshaling::kJws;
      all.push_back(options);
    }
  }
  all.push_back({.hash = std::nullopt, .prehashed = true, .rsa = RsaSignatureScheme::kPkcs1v15});
  return all;
}

Bytes InputFor(const SignatureOptions& options) {
  return Bytes(options.hash.has_value() && options.prehashed ? TraitsOf(*options.hash).bytes : 45,
               0x5a);
}

Bytes FlipBit(Bytes bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  return bytes;
}

class SignatureOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  // Refused: either no signature, or none of this.
  void ExpectRefused(const AsymmetricKey& key, const SignatureOptions& options, ByteView input,
                     ByteView signature) {
    const Result<bool> verified = VerifySignature(key, options, input, signature);
    if (verified.has_value()) {
      EXPECT_FALSE(*verified);
    } else {
      EXPECT_EQ(verified.error().code, ErrorCode::kInvalidArgument);
    }
  }

  const AsymmetricKey key_ = TestKey(GetParam());
  const AsymmetricKey half_ = PublicHalf(key_);
  const AsymmetricKey other_ = TestKey(GetParam(), 1);
};

TEST_P(SignatureOf, VerifiesWithEveryOption) {
  for (const SignatureOptions& options : OptionsFor(GetParam())) {
    const Bytes input = InputFor(options);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, options, input));
    EXPECT_THAT(VerifySignature(half_, options, input, signature), IsOkAndHolds(true));
    EXPECT_THAT(VerifySignature(other_, options, input, signature), IsOkAndHolds(false));
    EXPECT_THAT(VerifySignature(half_, options, FlipBit(input, 13), signature),
                IsOkAndHolds(false));
  }
}

TEST_P(SignatureOf, IsRefusedWithAnyBitFlipped) {
  const Bytes input = InputFor({});
  for (const auto marshaling : {SignatureMarshaling::kAsn1, SignatureMarshaling::kJws}) {
    SignatureOptions options;
    options.marshaling = marshaling;
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, options, input));
    for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
      ExpectRefused(half_, options, input, FlipBit(signature, bit));
    }
    for (std::size_t bit = 0; bit < input.size() * 8; bit += 3) {
      ExpectRefused(half_, options, FlipBit(input, bit), signature);
    }
  }
}

TEST_P(SignatureOf, IsRefusedAtAnyOtherLength) {
  const Bytes input = InputFor({});
  for (const auto marshaling : {SignatureMarshaling::kAsn1, SignatureMarshaling::kJws}) {
    SignatureOptions options;
    options.marshaling = marshaling;
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, options, input));
    for (std::size_t size = 0; size < signature.size(); ++size) {
      ExpectRefused(half_, options, input, ByteView(signature).first(size));
      ExpectRefused(half_, options, input, ByteView(signature).last(size));
    }
    for (const std::size_t position : {std::size_t{0}, signature.size() / 2, signature.size()}) {
      Bytes longer = signature;
      longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(position), 0);
      ExpectRefused(half_, options, input, longer);
    }
  }
}

TEST_P(SignatureOf, NeedsAPrivateHalf) {
  EXPECT_THAT(CreateSignature(half_, {}, {}), HasError(ErrorCode::kFailedPrecondition));
}

TEST_P(SignatureOf, CoversEmptyAndLongInputs) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1} << 20U}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, {}, Bytes(size)));
    EXPECT_THAT(VerifySignature(half_, {}, Bytes(size), signature), IsOkAndHolds(true));
    EXPECT_THAT(VerifySignature(half_, {}, Bytes(size + 1), signature), IsOkAndHolds(false));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, SignatureOf, ::testing::ValuesIn(kAsymmetricAlgorithms));

// ---- ECDSA -------------------------------------------------------------------------------------

class EcdsaOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  const AsymmetricKey key_ = TestKey(GetParam());
};

TEST_P(EcdsaOf, JwsSignaturesAreAsLongAsTwoCoordinates) {
  SignatureOptions options;
  options.marshaling = SignatureMarshaling::kJws;
  for (int round = 0; round < 300; ++round) {  // one number in 256 begins with a zero byte
    const Bytes input(1, static_cast<std::uint8_t>(round));
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, options, input));
    ASSERT_EQ(signature.size(), 2 * EcdsaFieldBytes(GetParam()));
    ASSERT_THAT(VerifySignature(key_, options, input, signature), IsOkAndHolds(true));
  }
}

// FIPS 186-5, 6.4.1: of a longer hash the leftmost bits count.
TEST_P(EcdsaOf, TakesPrehashedInputsOfAnyLength) {
  const SignatureOptions options{.prehashed = true};
  for (const std::size_t size : {0U, 1U, 20U, 31U, 66U, 67U, 200U}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature,
                             CreateSignature(key_, options, Bytes(size, 0x42)));
    EXPECT_THAT(VerifySignature(key_, options, Bytes(size, 0x42), signature), IsOkAndHolds(true));
  }
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature,
                           CreateSignature(key_, options, Bytes(200, 0x42)));
  EXPECT_THAT(VerifySignature(key_, options, Bytes(100, 0x42), signature), IsOkAndHolds(true));
}

INSTANTIATE_TEST_SUITE_P(EveryCurve, EcdsaOf,
                         ::testing::Values(kEcdsaP256, kEcdsaP384, kEcdsaP521));

TEST(EcdsaDer, RefusesWhatIsNoSequenceOfTwoIntegers) {
  const AsymmetricKey key = TestKey(kEcdsaP256);
  for (const char* der : {
           "-",                     // nothing
           "30",                    // no length
           "3000",                  // no numbers
           "3003020101",            // one number
           "06020101020101",        // no tag
           "3106020101020101",      // a set
           "3006020101040101",      // an octet string
           "3007020101020101",      // truncated
           "30800201010201010000",   // indefinite length
           "308106020101020101",    // longer length than need be
           "30820006020101020101",  //
           "300702020001020101",    // a needless zero
           "300702010102020001",    //
           "30070201010202ff80",    // a needless ff
           "30050200020101",        // an empty number
           "30050201010201",        // truncated number
           "3009020101020101020101",  // a third number
           "30080201010201010500",    // something after s
       }) {
    EXPECT_THAT(VerifySignature(key, {}, {}, FromHex(der)),
                HasError(ErrorCode::kInvalidArgument, "supplied signature is invalid"))
        << der;
  }
}

TEST(EcdsaDer, TellsExtraDataApart) {
  const AsymmetricKey key = TestKey(kEcdsaP256);
  KMS_ASSERT_OK_AND_ASSIGN(Bytes signature, CreateSignature(key, {}, {}));
  signature.push_back(0);
  EXPECT_THAT(VerifySignature(key, {}, {}, signature),
              HasError(ErrorCode::kInvalidArgument, "supplied signature contains extra data"));
}

// Zero, negative, the group order and more: well-formed, and no signature.
TEST(EcdsaDer, WellFormedNumbersThatCannotBeASignatureAreWrongOnly) {
  const AsymmetricKey key = TestKey(kEcdsaP256);
  constexpr const char* kOrder =
      "00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
  for (const std::string& der : std::vector<std::string>{
           "3006020100020101", "3006020101020100", "3006020100020100", "30060201ff020101",
           "30060201010201ff", "3006020180020101",
           "30260221" + std::string(kOrder) + "020101",
           "30260201010221" + std::string(kOrder)}) {
    EXPECT_THAT(VerifySignature(key, {}, {}, FromHex(der)), IsOkAndHolds(false)) << der;
  }
}

TEST(EcdsaDer, NumbersFarBeyondTheCurveAreWrongOnly) {
  const AsymmetricKey key = TestKey(kEcdsaP256);
  Bytes der = FromHex("308203f0028203e8");
  der.insert(der.end(), 1000, 0x11);
  const Bytes s = FromHex("02020101");
  der.insert(der.end(), s.begin(), s.end());
  EXPECT_THAT(VerifySignature(key, {}, {}, der), IsOkAndHolds(false));
}

// ---- RSA ---------------------------------------------------------------------------------------

class RsaSignatureOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  const AsymmetricKey key_ = TestKey(GetParam());
};

TEST_P(RsaSignatureOf, TakesSaltsWithinTheirBoundsOnly) {
  for (const HashTraits& hash : AllHashes()) {
    const std::int64_t longest = LongestSalt(GetParam(), hash.algorithm);
    for (const std::int64_t salt : {std::int64_t{-2}, longest + 1, std::int64_t{1} << 40U,
                                    std::int64_t{INT64_MIN}, std::int64_t{INT64_MAX}}) {
      const SignatureOptions options{.hash = hash.algorithm, .salt_length = salt};
      const std::string text = "requested salt length " + std::to_string(salt) + " is invalid";
      EXPECT_THAT(CreateSignature(key_, options, {}), HasError(ErrorCode::kInvalidArgument, text));
      EXPECT_THAT(VerifySignature(key_, options, {}, Bytes(256)),
                  HasError(ErrorCode::kInvalidArgument, text));
    }
    EXPECT_THAT(CreateSignature(key_, {.hash = hash.algorithm, .salt_length = longest}, {}),
                IsOk());
  }
}

TEST_P(RsaSignatureOf, IgnoresTheSaltOfPkcs1v15) {
  const SignatureOptions options{.rsa = RsaSignatureScheme::kPkcs1v15, .salt_length = 9999};
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, options, {}));
  EXPECT_THAT(VerifySignature(key_, options, {}, signature), IsOkAndHolds(true));
}

TEST_P(RsaSignatureOf, AutoSignsWithTheLongestSaltAndDetectsAny) {
  const Bytes input = InputFor({});
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes automatic, CreateSignature(key_, {}, input));
  const std::int64_t longest = LongestSalt(GetParam(), HashAlgorithm::kSha2_256);
  EXPECT_THAT(VerifySignature(key_, {.salt_length = longest}, input, automatic),
              IsOkAndHolds(true));
  EXPECT_THAT(VerifySignature(key_, {.salt_length = kPssSaltHash}, input, automatic),
              IsOkAndHolds(false));
  for (const std::int64_t salt : {kPssSaltHash, std::int64_t{1}, std::int64_t{77}, longest}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature,
                             CreateSignature(key_, {.salt_length = salt}, input));
    EXPECT_THAT(VerifySignature(key_, {}, input, signature), IsOkAndHolds(true));
  }
}

TEST_P(RsaSignatureOf, HashSaltIsTheHashsLength) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature,
                           CreateSignature(key_, {.salt_length = kPssSaltHash}, {}));
  EXPECT_THAT(VerifySignature(key_, {.salt_length = 32}, {}, signature), IsOkAndHolds(true));
  EXPECT_THAT(VerifySignature(key_, {.salt_length = 33}, {}, signature), IsOkAndHolds(false));
}

TEST_P(RsaSignatureOf, PrehashedInputsAreAsLongAsTheirHash) {
  for (const auto scheme : {RsaSignatureScheme::kPss, RsaSignatureScheme::kPkcs1v15}) {
    const SignatureOptions options{.prehashed = true, .rsa = scheme};
    for (const std::size_t size : {0U, 20U, 31U, 33U, 64U}) {
      EXPECT_THAT(CreateSignature(key_, options, Bytes(size)),
                  HasError(ErrorCode::kInvalidArgument));
      EXPECT_THAT(VerifySignature(key_, options, Bytes(size), Bytes(256)),
                  HasError(ErrorCode::kInvalidArgument));
    }
  }
}

TEST_P(RsaSignatureOf, SchemesAndHashesAreNotInterchangeable) {
  const Bytes input = InputFor({});
  for (const auto scheme : {RsaSignatureScheme::kPss, RsaSignatureScheme::kPkcs1v15}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, {.rsa = scheme}, input));
    for (const auto asked : {RsaSignatureScheme::kPss, RsaSignatureScheme::kPkcs1v15}) {
      for (const HashTraits& hash : AllHashes()) {
        EXPECT_THAT(
            VerifySignature(key_, {.hash = hash.algorithm, .rsa = asked}, input, signature),
            IsOkAndHolds(asked == scheme && hash.algorithm == HashAlgorithm::kSha2_256));
      }
    }
  }
}

// One signature in 256 begins with a zero byte; as a number it is the same without.
TEST_P(RsaSignatureOf, DoesNotDoWithoutItsLeadingZeros) {
  for (const auto scheme : {RsaSignatureScheme::kPss, RsaSignatureScheme::kPkcs1v15}) {
    Bytes input(2);
    Bytes signature(1, 1);
    for (; signature[0] != 0; ++input[0]) {
      input[1] = static_cast<std::uint8_t>(input[1] + (input[0] == 255 ? 1 : 0));
      KMS_ASSERT_OK_AND_ASSIGN(signature, CreateSignature(key_, {.rsa = scheme}, input));
    }
    --input[0];
    EXPECT_THAT(VerifySignature(key_, {.rsa = scheme}, input, signature), IsOkAndHolds(true));
    EXPECT_THAT(
        VerifySignature(key_, {.rsa = scheme}, input, ByteView(signature).subspan(1)),
        IsOkAndHolds(false));
  }
}

constexpr const char* kNoneNeeds =
    "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15";

TEST_P(RsaSignatureOf, NoHashNeedsPrehashedAndPkcs1v15) {
  for (const SignatureOptions& options :
       {SignatureOptions{.hash = std::nullopt},
        SignatureOptions{.hash = std::nullopt, .prehashed = true},
        SignatureOptions{.hash = std::nullopt, .rsa = RsaSignatureScheme::kPkcs1v15}}) {
    EXPECT_THAT(CreateSignature(key_, options, {}),
                HasError(ErrorCode::kInvalidArgument, kNoneNeeds));
    EXPECT_THAT(VerifySignature(key_, options, {}, {}),
                HasError(ErrorCode::kInvalidArgument, kNoneNeeds));
  }
}

// Bare bytes that happen to be a DigestInfo are the signature with that hash (RFC 8017, 9.2).
TEST_P(RsaSignatureOf, NoHashSignsTheBareBytes) {
  const SignatureOptions bare{
      .hash = std::nullopt, .prehashed = true, .rsa = RsaSignatureScheme::kPkcs1v15};
  const SignatureOptions hashed{.rsa = RsaSignatureScheme::kPkcs1v15};
  Bytes digest_info = FromHex("3031300d060960864801650304020105000420");
  KMS_ASSERT_OK_AND_ASSIGN(const HashValue hash,
                           ComputeHash(HashAlgorithm::kSha2_256, AsBytes("abc")));
  digest_info.insert(digest_info.end(), hash.View().begin(), hash.View().end());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, bare, digest_info));
  EXPECT_THAT(CreateSignature(key_, hashed, AsBytes("abc")), IsOkAndHolds(signature));
  EXPECT_THAT(VerifySignature(key_, bare, digest_info, signature), IsOkAndHolds(true));
}

TEST_P(RsaSignatureOf, NoHashTakesWhatFits) {
  const SignatureOptions bare{
      .hash = std::nullopt, .prehashed = true, .rsa = RsaSignatureScheme::kPkcs1v15};
  const std::size_t longest = RsaBits(GetParam()) / 8 - 11;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, longest}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, bare, Bytes(size, 7)));
    EXPECT_THAT(VerifySignature(key_, bare, Bytes(size, 7), signature), IsOkAndHolds(true));
    EXPECT_THAT(VerifySignature(key_, bare, Bytes(size + 1, 7), signature), IsOkAndHolds(false));
  }
  EXPECT_THAT(CreateSignature(key_, bare, Bytes(longest + 1)),
              HasError(ErrorCode::kInvalidArgument,
                       "crypto/rsa: message too long for RSA key size"));
}

INSTANTIATE_TEST_SUITE_P(EverySize, RsaSignatureOf,
                         ::testing::Values(kRsa2048, kRsa3072, kRsa4096));

// ---- Ed25519 -----------------------------------------------------------------------------------

TEST(Ed25519Signature, IgnoresEveryOption) {
  const AsymmetricKey key = TestKey(kEd25519);
  const Bytes input = InputFor({});
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key, {}, input));
  for (const SignatureOptions& options :
       {SignatureOptions{.hash = std::nullopt}, SignatureOptions{.prehashed = true},
        SignatureOptions{.salt_length = -7},
        SignatureOptions{.hash = HashAlgorithm::kSha1, .rsa = RsaSignatureScheme::kPkcs1v15}}) {
    EXPECT_THAT(CreateSignature(key, options, input), IsOkAndHolds(signature));
    EXPECT_THAT(VerifySignature(key, options, input, signature), IsOkAndHolds(true));
  }
}

}  // namespace
}  // namespace kms
