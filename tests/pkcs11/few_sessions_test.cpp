// SPDX-License-Identifier: Apache-2.0
// H17: a token that grants two sessions, one for the login and one at work, does everything.
#include <gmock/gmock.h>

#include "pkcs11/attributes.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::IsOkAndHolds;
using ::testing::HasSubstr;

class FewSessions : public TokenFaults {
 protected:
  void StartWith(int sessions) {
    faults_->SetRules("sessions max=" + std::to_string(sessions));
    ASSERT_NO_FATAL_FAILURE(StartReady());
  }
  template <typename Condition>
  static bool Before(Deadline deadline, Condition condition) {
    while (std::chrono::steady_clock::now() < deadline) {
      if (condition()) return true;
    }
    return false;
  }
};

class HowManySessions : public FewSessions, public ::testing::WithParamInterface<int> {};

TEST_P(HowManySessions, H17_MasterKeysAreMadeAndUsed) {
  ASSERT_NO_FATAL_FAILURE(StartWith(GetParam()));
  const MasterKeyRecord master = MakeMaster();
  EXPECT_EQ(master.mechanism, WrapMechanism::kGcmEncrypt);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes key,
                           token_->Unwrap(master, wrapped, context_, InSeconds(10)));
  EXPECT_TRUE(key == key_);
  EXPECT_THAT(token_->CheckSentinel(master, InSeconds(10)), IsOk());
  EXPECT_THAT(token_->DestroyMasterKey(master, InSeconds(10)), IsOk());
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

TEST_P(HowManySessions, H17_TheAuditKeyAndTheEpochAreKept) {
  ASSERT_NO_FATAL_FAILURE(StartWith(GetParam()));
  EXPECT_THAT(token_->SigningPublicKey(InSeconds(10)), IsOk());
  EXPECT_THAT(token_->Sign(Bytes{1, 2, 3}, InSeconds(10)), IsOk());
  const Uuid id = Uuid::Random();
  EXPECT_THAT(token_->RaiseEpoch(id, 7, InSeconds(10)), IsOkAndHolds(7U));
  EXPECT_THAT(token_->RaiseEpoch(id, 8, InSeconds(10)), IsOkAndHolds(8U));
  EXPECT_THAT(token_->ReadEpoch(id, InSeconds(10)),
              IsOkAndHolds(::testing::Optional(std::uint64_t{8})));
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

TEST_P(HowManySessions, H17_ImportKeysAreMadeAndOpen) {
  ASSERT_NO_FATAL_FAILURE(StartWith(GetParam()));
  KMS_ASSERT_OK_AND_ASSIGN(const auto key,
                           token_->GenerateImportKey(Uuid::Random(), "import", InSeconds(60)));
  ASSERT_TRUE(key.has_value());
  EXPECT_NE(key->PlaceOf(HashAlgorithm::kSha2_256), OaepPlace::kNowhere);
  EXPECT_THAT(token_->DecryptImport(*key, HashAlgorithm::kSha2_256, Bytes(512, 1), InSeconds(10)),
              HasError(ErrorCode::kInvalidArgument));
}

TEST_P(HowManySessions, H17_ResidentKeysOfEveryKindAreMadeAndUsed) {
  ASSERT_NO_FATAL_FAILURE(StartWith(GetParam()));
  for (const ResidentKeyType type : {ResidentKeyType::kAes256Gcm, ResidentKeyType::kEcdsaP256,
                                     ResidentKeyType::kRsa2048}) {
    SCOPED_TRACE(ResidentKeyTypeName(type));
    KMS_ASSERT_OK_AND_ASSIGN(
        const ResidentKeyRecord key,
        token_->GenerateResidentKey(Uuid::Random(), type, "kms/prod/keys/app/1", InSeconds(60)));
    if (type == ResidentKeyType::kAes256Gcm) {
      KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext made,
                               token_->ResidentEncrypt(key, key_, context_, InSeconds(10)));
      EXPECT_THAT(token_->ResidentDecrypt(key, made, context_, InSeconds(10)), IsOk());
      EXPECT_THAT(token_->ResidentDecrypt(key, made, Bytes{9}, InSeconds(10)),
                  HasError(ErrorCode::kDecryptionFailed));
    } else {
      ResidentSignRequest request{.digest = Bytes(32, 1)};
      if (type == ResidentKeyType::kRsa2048) {
        request.scheme = ResidentSignatureScheme::kRsaPkcs1v15;
      }
      EXPECT_THAT(token_->ResidentSign(key, request, InSeconds(10)), IsOk());
    }
    EXPECT_THAT(token_->DestroyResidentKey(key, InSeconds(10)), IsOk());
  }
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

INSTANTIATE_TEST_SUITE_P(Caps, HowManySessions, ::testing::Values(2, 3, 4));

TEST_F(FewSessions, H17_NothingOfTheTestOfMechanismsStaysInTheToken) {
  ASSERT_NO_FATAL_FAILURE(StartWith(2));
  WithRawSession([&](Session& session) {
    AttributeList any;
    any.Flag(CKA_TOKEN, false);
    const auto found = session.Find(any.span());
    EXPECT_THAT(found, IsOkAndHolds(::testing::IsEmpty()));
  });
}

TEST_F(FewSessions, H17_OneSessionIsTooFewAndTheTokenServesWhenItGrantsMore) {
  faults_->SetRules("sessions max=1");
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(1)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(token_->Statistics().state_reason,
              ::testing::AllOf(HasSubstr("two are the least"), HasSubstr("CKR_SESSION_COUNT")));
  EXPECT_EQ(faults_->CountCalls("C_Login"), 0);
  EXPECT_FALSE(token_->stuck());
  faults_->SetRules("sessions max=2");
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  EXPECT_THAT(Wrap(MakeMaster()), IsOk());
}

TEST_F(FewSessions, H17_ALostMechanismComesBackToATokenOfTwoSessions) {
  ASSERT_NO_FATAL_FAILURE(StartWith(2));
  const MasterKeyRecord first = MakeMaster();
  const std::uint64_t reconnects = token_->Statistics().reconnects;
  faults_->SetRules("sessions max=2\nC_Encrypt length=+1");
  EXPECT_THAT(Wrap(first), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(Before(InSeconds(20), [&] { return token_->Statistics().reconnects > reconnects; }));
  ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  EXPECT_NE(MakeMaster().mechanism, first.mechanism);
  faults_->SetRules("sessions max=2");
  EXPECT_TRUE(Before(InSeconds(30), [&] {
    const auto record = token_->GenerateMasterKey(Uuid::Random(), 2, "master", InSeconds(10));
    return record.has_value() && record->mechanism == first.mechanism;
  }));
}

}  // namespace
}  // namespace kms::pkcs11
