// SPDX-License-Identifier: Apache-2.0
// Device errors of single calls: a token that serves others is not reconnected for each of them;
// and a full token says so.
#include "pkcs11/connection_state.h"
#include "pkcs11/rv.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::IsOkAndHolds;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(ReconnectBudget, LastsForSixAndEarnsOneMoreEveryTenSeconds) {
  ReconnectBudget budget;
  SteadyTime now{};
  for (int spent = 0; spent < 6; ++spent) {
    EXPECT_TRUE(budget.Spend(now)) << spent;
  }
  EXPECT_FALSE(budget.Spend(now));
  EXPECT_FALSE(budget.Spend(now + 9s));
  EXPECT_TRUE(budget.Spend(now + 10s));
  EXPECT_FALSE(budget.Spend(now + 19s));
  EXPECT_TRUE(budget.Spend(now + 20s));
}

TEST(ReconnectBudget, IsFullAgainAfterAWhileAndNoFuller) {
  ReconnectBudget budget;
  const SteadyTime now{};
  for (int spent = 0; spent < 6; ++spent) {
    EXPECT_TRUE(budget.Spend(now));
  }
  for (int spent = 0; spent < 6; ++spent) {
    EXPECT_TRUE(budget.Spend(now + 1h)) << spent;
  }
  EXPECT_FALSE(budget.Spend(now + 1h));
}

TEST(Rv, SaysThatATokenIsFullOnlyOfCallsThatMakeObjects) {
  for (const char* function :
       {"C_GenerateKey", "C_GenerateKeyPair", "C_CreateObject", "C_CopyObject", "C_UnwrapKey"}) {
    const Error error = Rv{CKR_DEVICE_MEMORY, function}.ToError();
    EXPECT_EQ(error.code, ErrorCode::kResourceExhausted) << "the token is there, and answers";
    EXPECT_THAT(error.public_message, HasSubstr("out of memory or storage")) << function;
    EXPECT_THAT(error.detail, HasSubstr("CKR_DEVICE_MEMORY (0x31)"));
  }
  EXPECT_THAT((Rv{CKR_DEVICE_MEMORY, "C_Encrypt"}.ToError().public_message), HasSubstr("busy"));
  EXPECT_THAT((Rv{CKR_HOST_MEMORY, "C_GenerateKey"}.ToError().public_message),
              Not(HasSubstr("storage")));
}

// libp11 0.4.12 waits for ever when a session of its own is refused.
TEST_F(TokenFaults, H8_WhicheverSessionOfAReconnectionFailsItHealsByItself) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes public_key, token_->SigningPublicKey(InSeconds(10)));
  for (int session = 1; session <= 8; ++session) {
    const std::string number = std::to_string(session);
    const std::uint64_t reconnects = token_->Statistics().reconnects;
    faults_->SetRules("C_DecryptInit once return=0x32 from=" + number + "\nC_OpenSession n=" + number +
                      " return=0x30");
    const Deadline deadline = InSeconds(15);
    while (token_->Statistics().reconnects == reconnects) {
      ASSERT_TRUE(WrapsBefore(master, deadline)) << "session " << session;
    }
    EXPECT_FALSE(token_->stuck());
    EXPECT_THAT(token_->SigningPublicKey(InSeconds(10)), IsOkAndHolds(public_key));
    EXPECT_THAT(token_->Sign(context_, InSeconds(10)), IsOk());
  }
}

TEST_F(TokenFaults, H8_OneKindOfCallThatFailsDoesNotTearDownTheConnectionOfAllOthers) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  ASSERT_THAT(Wrap(master), IsOk());
  faults_->SetRules("C_GenerateKeyPair return=0x30");
  for (int call = 0; call < 30; ++call) {
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    EXPECT_THAT(token_->GenerateImportKey(Uuid::Random(), "import", InSeconds(5)),
                HasError(ErrorCode::kUnavailable));
  }
  const std::uint64_t reconnects = token_->Statistics().reconnects;
  EXPECT_GE(reconnects, 1U);
  EXPECT_LE(reconnects, 8U);
  EXPECT_THAT(Wrap(master), IsOk()) << "others are served meanwhile";
  EXPECT_EQ(token_->Statistics().state, DeviceState::kReady);
}

}  // namespace
}  // namespace kms::pkcs11
