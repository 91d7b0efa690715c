// SPDX-License-Identifier: Apache-2.0
// Key agreement in a token that misbehaves.
#include <string>

#include "tests/pkcs11/resident_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::HasSubstr;

TEST_F(ResidentFaults, KeyAgreementLeavesNoSecretInTheToken) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  for (int round = 0; round < 5; ++round) {
    EXPECT_THAT(Agrees(key), IsOk());
  }
  for (const char* const rule :
       {"C_GetAttributeValue n=3 return=0x11", "C_DeriveKey once late=0x30"}) {
    faults_->SetRules(rule);
    IgnoreError(Agrees(key), "it may fail");
    faults_->SetRules("");
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    EXPECT_THAT(Agrees(key), IsOk()) << rule;
  }
  EXPECT_EQ(CountLooseSecrets(), 0U);
}

TEST_F(ResidentFaults, H1_KeyAgreementSurvivesLostSessionsAndLogins) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP384);
  for (const char* const rule :
       {"C_DeriveKey once return=0xb3", "C_DeriveKey once return=0x60",
        "C_DestroyObject once return=0xb3", "C_FindObjectsInit once return=0xb3"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Agrees(key), IsOk()) << rule;
  }
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  EXPECT_THAT(Agrees(key), IsOk());
}

TEST_F(ResidentFaults, H3_KeyAgreementFailsWithADyingTokenAndIsBackWithIt) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  ASSERT_THAT(Agrees(key), IsOk());
  for (const char* const call : {"n=1", "n=2", "n=3"}) {
    faults_->SetRules(std::string("C_DeriveKey ") + call + " return=0x30");
    EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable)) << call;
    faults_->SetRules("");
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    EXPECT_THAT(Agrees(key), IsOk()) << call;
  }
}

// Of one agreement: the right to derive, the known answer, the secret and the same again.
constexpr const char* kReadsOfSecrets[] = {"n=2", "n=3", "n=4"};

TEST_F(ResidentFaults, H20_ASecretWithAFlippedBitIsNotUsed) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  ASSERT_THAT(Agrees(key), IsOk());
  for (const char* const read : kReadsOfSecrets) {
    faults_->SetRules(std::string("C_GetAttributeValue ") + read + " flip");
    EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable, HasSubstr("another secret")))
        << read;
    faults_->SetRules("");
    EXPECT_THAT(Agrees(key), IsOk()) << read;
  }
  faults_->SetRules("C_GetAttributeValue flip");
  EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable));
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP384);
  EXPECT_THAT(Sign(signer), IsOk());
  faults_->SetRules("");
  EXPECT_THAT(Agrees(signer),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("made without key agreement")));
}

TEST_F(ResidentFaults, H19_SecretsOfImpossibleLengthsAreDeviceErrors) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP521);
  for (const char* const read : kReadsOfSecrets) {
    for (const char* const length : {"+1", "-1", "0", "100000", "unavailable"}) {
      ASSERT_THAT(Agrees(key), IsOk()) << "proves the key anew, which reads more";
      faults_->SetRules(std::string("C_GetAttributeValue ") + read + " length=" + length);
      EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable)) << read << " " << length;
      faults_->SetRules("");
      ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    }
  }
  EXPECT_THAT(Agrees(key), IsOk());
}

TEST_F(ResidentFaults, H21_ATokenWithoutEcdhMakesKeysThatSign) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_DeriveKey return=0x70");
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  EXPECT_THAT(Sign(key), IsOk());
  WithRawSession([&](Session& session) {
    const auto found = FindResidentObjects(session, key.id);
    ASSERT_THAT(found, IsOk());
    ASSERT_EQ(found->secrets.size(), 1U);
    EXPECT_FALSE(session.ReadFlag(found->secrets.front(), CKA_DERIVE).value());
  });
  faults_->SetRules("");
  EXPECT_THAT(Agrees(key),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("made without key agreement")));
  const ResidentKeyRecord later = Make(ResidentKeyType::kEcdsaP256);
  EXPECT_THAT(Agrees(later), IsOk()) << "the token has it now";
  faults_->SetRules("C_DeriveKey return=0x70");
  token_.reset();
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Agrees(later),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("does not agree on keys")));
  EXPECT_THAT(Sign(later), IsOk());
}

TEST_F(ResidentFaults, ATokenThatWantsThePointInAnOctetStringAgrees) {
  // The first form is refused as modules do that want the other.
  faults_->SetRules("C_DeriveKey n=1 return=0x71");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  faults_->SetRules("C_DeriveKey n=1 return=0x70");
  EXPECT_THAT(Agrees(key), IsOk());
  EXPECT_THAT(Agrees(key), IsOk());
}

}  // namespace
}  // namespace kms::pkcs11
