// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/signature.h"

#include <gtest/gtest.h>

#include <vector>

#include "kms/crypto/asymmetric_key.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

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

// Everything that may be asked of a signature by this kind of key.
std::vector<SignatureOptions> OptionsFor(AsymmetricAlgorithm algorithm) {
  std::vector<SignatureOptions> all;
  for (const HashTraits& hash : AllHashes()) {
    for (const bool prehashed : {false, true}) {
      for (const auto marshaling : {SignatureMarshaling::kAsn1, SignatureMarshaling::kJws}) {
        SignatureOptions options{.hash = hash.algorithm, .prehashed = prehashed};
        options.marshaling = marshaling;
        if (!IsRsa(algorithm)) {
          all.push_back(options);
          continue;
        }
        for (const std::int64_t salt : {kPssSaltAuto, kPssSaltHash, std::int64_t{1},
                                        std::int64_t{20}}) {
          options.salt_length = salt;
          all.push_back(options);
        }
        options.rsa = RsaSignatureScheme::kPkcs1v15;
        all.push_back(options);
      }
    }
  }
  if (algorithm != kEd25519) {
    all.push_back({.hash = std::nullopt, .prehashed = true, .rsa = RsaSignatureScheme::kPkcs1v15});
  }
  return all;
}

Bytes InputFor(const SignatureOptions& options) {
  return Bytes(options.hash.has_value() && options.prehashed ? TraitsOf(*options.hash).bytes : 45,
               0x5a);
}

class SignatureOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {
 protected:
  const AsymmetricKey& key_ = KeyOf(GetParam());
};

TEST_P(SignatureOf, VerifiesWithEveryOption) {
  for (const SignatureOptions& options : OptionsFor(GetParam())) {
    Bytes input = InputFor(options);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, CreateSignature(key_, options, input));
    EXPECT_THAT(VerifySignature(key_, options, input, signature), IsOkAndHolds(true));
    input[0] ^= 1U;
    EXPECT_THAT(VerifySignature(key_, options, input, signature), IsOkAndHolds(false));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, SignatureOf, ::testing::ValuesIn(kAlgorithms));

}  // namespace
}  // namespace kms
