// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/self_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;

std::string ChangeFirstDigit(std::string_view hex) {
  std::string changed(hex);
  changed[0] = changed[0] == '0' ? '1' : '0';
  return changed;
}

// The failure names the vector, for the log; clients learn nothing.
void ExpectFailure(const KnownAnswers& answers, std::string_view source) {
  const Status tested = RunCryptoSelfTest(answers);
  ASSERT_THAT(tested, HasError(ErrorCode::kInternal, "internal error"));
  EXPECT_THAT(tested.error().detail, HasSubstr(std::string(source)));
}

TEST(CryptoSelfTest, PassesOnThisMachine) { EXPECT_THAT(RunCryptoSelfTest(), IsOk()); }

TEST(CryptoSelfTest, CoversEveryAlgorithm) {
  for (const AeadAlgorithm algorithm :
       {AeadAlgorithm::kAes256Gcm, AeadAlgorithm::kAes128Gcm, AeadAlgorithm::kChaCha20Poly1305,
        AeadAlgorithm::kXChaCha20Poly1305}) {
    EXPECT_EQ(std::ranges::count(PublishedAnswers().aead, algorithm, &AeadAnswer::algorithm), 1);
  }
  EXPECT_FALSE(PublishedAnswers().hkdf.empty());
  EXPECT_FALSE(PublishedAnswers().digest.empty());
  EXPECT_EQ(PublishedAnswers().signature.size(), 2U);
  EXPECT_FALSE(PublishedAnswers().ed25519.empty());
  EXPECT_FALSE(PublishedAnswers().oaep.empty());
}

TEST(CryptoSelfTest, C16_FailsOnAWrongConstantOfAnyCipher) {
  constexpr std::string_view AeadAnswer::* kFields[] = {
      &AeadAnswer::key,       &AeadAnswer::nonce,  &AeadAnswer::associated_data,
      &AeadAnswer::plaintext, &AeadAnswer::sealed,
  };
  for (std::size_t index = 0; index < PublishedAnswers().aead.size(); ++index) {
    for (const auto field : kFields) {
      std::vector<AeadAnswer> changed(PublishedAnswers().aead.begin(),
                                      PublishedAnswers().aead.end());
      const std::string value = ChangeFirstDigit(changed[index].*field);
      changed[index].*field = value;
      KnownAnswers answers = PublishedAnswers();
      answers.aead = changed;
      ExpectFailure(answers, changed[index].source);
    }
  }
}

TEST(CryptoSelfTest, C16_FailsOnAWrongConstantOfDerivationAndDigest) {
  KnownAnswers answers = PublishedAnswers();
  HkdfAnswer hkdf = answers.hkdf.front();
  const std::string output = ChangeFirstDigit(hkdf.output);
  hkdf.output = output;
  answers.hkdf = {&hkdf, 1};
  ExpectFailure(answers, hkdf.source);

  answers = PublishedAnswers();
  DigestAnswer digest = answers.digest.front();
  const std::string sha256 = ChangeFirstDigit(digest.sha256);
  digest.sha256 = sha256;
  answers.digest = {&digest, 1};
  ExpectFailure(answers, digest.source);
}

// The last digit: it belongs to the value, where the first may belong to what frames it.
std::string ChangeLastDigit(std::string_view hex) {
  std::string changed(hex);
  changed.back() = changed.back() == '0' ? '1' : '0';
  return changed;
}

// Runs the test with one field of one answer changed.
template <typename Answer>
void ExpectFailureOf(std::span<const Answer> KnownAnswers::* kind,
                     std::string_view Answer::* field) {
  KnownAnswers answers = PublishedAnswers();
  std::vector<Answer> changed((answers.*kind).begin(), (answers.*kind).end());
  for (std::size_t index = 0; index < changed.size(); ++index) {
    const std::string_view original = changed[index].*field;
    const std::string value = ChangeLastDigit(original);
    changed[index].*field = value;
    answers.*kind = changed;
    ExpectFailure(answers, changed[index].source);
    changed[index].*field = original;
  }
}

TEST(CryptoSelfTest, C16_FailsOnAWrongConstantOfAnySignature) {
  ExpectFailureOf(&KnownAnswers::signature, &SignatureAnswer::public_key);
  ExpectFailureOf(&KnownAnswers::signature, &SignatureAnswer::message);
  ExpectFailureOf(&KnownAnswers::signature, &SignatureAnswer::signature);
  ExpectFailureOf(&KnownAnswers::ed25519, &Ed25519Answer::seed);
  ExpectFailureOf(&KnownAnswers::ed25519, &Ed25519Answer::public_key);
  ExpectFailureOf(&KnownAnswers::ed25519, &Ed25519Answer::message);
  ExpectFailureOf(&KnownAnswers::ed25519, &Ed25519Answer::signature);
}

TEST(CryptoSelfTest, C16_FailsOnAWrongConstantOfRsaDecryption) {
  ExpectFailureOf(&KnownAnswers::oaep, &OaepAnswer::ciphertext);
  ExpectFailureOf(&KnownAnswers::oaep, &OaepAnswer::plaintext);
}

}  // namespace
}  // namespace kms
