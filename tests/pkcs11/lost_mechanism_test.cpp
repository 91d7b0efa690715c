// SPDX-License-Identifier: Apache-2.0
// A fault that meets the test of a mechanism while the token is reconnected takes it away only for
// as long as the fault lasts.
#include <gmock/gmock.h>

#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::HasSubstr;

class LostMechanism : public TokenFaults {
 protected:
  template <typename Condition>
  static bool Before(Deadline deadline, Condition condition) {
    while (std::chrono::steady_clock::now() < deadline) {
      if (condition()) return true;
    }
    return false;
  }
};

// The first call makes the key in the token and fails with its sentinel.
TEST_F(LostMechanism, H19_AKeyWhoseMakingMetWrongLengthsIsAdoptedWhenTheyEnd) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord first = MakeMaster();
  const std::uint64_t reconnects = token_->Statistics().reconnects;
  faults_->SetRules("C_Encrypt length=+1");
  const Uuid id = Uuid::Random();
  const auto make = [&] { return token_->GenerateMasterKey(id, 2, "master", InSeconds(10)); };
  EXPECT_THAT(make(), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(Before(InSeconds(20), [&] { return token_->Statistics().reconnects > reconnects; }));
  ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  EXPECT_THAT(make(), HasError(ErrorCode::kResourceExhausted, HasSubstr("which it passed before")));
  faults_->SetRules("");
  EXPECT_TRUE(Before(InSeconds(30), [&] {
    const auto record = make();
    return record.has_value() && record->mechanism == first.mechanism;
  }));
}

// With nothing else to wrap by, the token is away and not misconfigured.
TEST_F(LostMechanism, H19_ATokenThatAnswersEveryTestWronglyIsAwayUntilItAnswersRightly) {
  options_.pinned_mechanism = "gcm-encrypt";
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_Encrypt length=+1");
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(Before(InSeconds(20), [&] {
    EXPECT_NE(token_->Statistics().state, DeviceState::kFatalConfig);
    return token_->Statistics().state_reason.find("wrong answers") != std::string::npos;
  }));
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable));
  faults_->SetRules("");
  EXPECT_TRUE(WrapsBefore(master, InSeconds(30)));
}

TEST_F(LostMechanism, H19_WhatWrongLengthsTookAwayComesBackByItself) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord first = MakeMaster();
  const std::uint64_t reconnects = token_->Statistics().reconnects;
  faults_->SetRules("C_Encrypt length=+1\nC_Decrypt once return=0x32");
  EXPECT_TRUE(Before(InSeconds(20), [&] {
    IgnoreError(token_->CheckSentinel(first, InSeconds(10)), "its failure costs the connection");
    return token_->Statistics().reconnects > reconnects;
  }));
  ASSERT_THAT(token_->AwaitReady(InSeconds(20)), ::kms::testing::IsOk());
  EXPECT_NE(MakeMaster().mechanism, first.mechanism);
  EXPECT_THAT(token_->CheckSentinel(first, InSeconds(10)), ::kms::testing::IsOk());
  faults_->SetRules("");
  EXPECT_TRUE(Before(InSeconds(30), [&] {
    const auto record = token_->GenerateMasterKey(Uuid::Random(), 2, "master", InSeconds(10));
    return record.has_value() && record->mechanism == first.mechanism;
  }));
}

}  // namespace
}  // namespace kms::pkcs11
