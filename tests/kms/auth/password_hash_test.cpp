// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/password_hash.h"

#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::AllOf;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using ::testing::Not;
using ::testing::StartsWith;

// Cheap, so that a test may hash often.
constexpr PasswordHashCost kCheap{.memory_kib = 64, .passes = 1};

class PasswordHasherTest : public ::testing::Test {
 protected:
  PasswordHasher hasher_{kCheap, {.max_running = 2, .max_waiting = 64}};
};

TEST_F(PasswordHasherTest, VerifiesThePasswordItHashedAndNoOther) {
  KMS_ASSERT_OK_AND_ASSIGN(const std::string hash, hasher_.Hash("correct horse"));
  EXPECT_THAT(hasher_.Verify("correct horse", hash), IsOkAndHolds(true));
  for (const char* wrong : {"", "correct hors", "correct horse ", " correct horse", "Correct horse",
                            "correct horse battery"}) {
    EXPECT_THAT(hasher_.Verify(wrong, hash), IsOkAndHolds(false)) << wrong;
  }
}

TEST_F(PasswordHasherTest, ComparesBytesBeyondANul) {
  const std::string password("correct\0horse", 13);
  KMS_ASSERT_OK_AND_ASSIGN(const std::string hash, hasher_.Hash(password));
  EXPECT_THAT(hasher_.Verify(password, hash), IsOkAndHolds(true));
  EXPECT_THAT(hasher_.Verify(std::string("correct\0house", 13), hash), IsOkAndHolds(false));
}

TEST_F(PasswordHasherTest, SaltsEveryHashAndNeverHoldsThePassword) {
  KMS_ASSERT_OK_AND_ASSIGN(const std::string first, hasher_.Hash("correct horse"));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string second, hasher_.Hash("correct horse"));
  EXPECT_NE(first, second);
  EXPECT_THAT(first, AllOf(StartsWith("$argon2id$v=19$m=64,t=1,p=1$"), Not(HasSubstr("horse"))));
}

TEST(PasswordHash, CostsSixtyFourMebibytesAndThreePasses) {
  PasswordHasher hasher;
  KMS_ASSERT_OK_AND_ASSIGN(const std::string hash, hasher.Hash("correct horse"));
  EXPECT_THAT(hash, StartsWith("$argon2id$v=19$m=65536,t=3,p=1$"));
}

TEST_F(PasswordHasherTest, OpensAHashOfAnotherCost) {
  // From the reference implementation's tests: t = 2, m = 256 KiB, salt "somesalt".
  const std::string frozen =
      "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  EXPECT_THAT(hasher_.Verify("password", frozen), IsOkAndHolds(true));
  EXPECT_THAT(hasher_.Verify("passw0rd", frozen), IsOkAndHolds(false));
}

TEST_F(PasswordHasherTest, RefusesPasswordsTooShortOrTooLong) {
  EXPECT_THAT(hasher_.Hash(""), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(hasher_.Hash("seven77"),
              HasError(ErrorCode::kInvalidArgument, "a password must have 8 to 1024 bytes"));
  EXPECT_THAT(hasher_.Hash(std::string(1024, 'x')), IsOk());
  EXPECT_THAT(hasher_.Hash(std::string(1025, 'x')), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(PasswordHasherTest, APasswordTooLongIsNeverRightAndCostsTheSame) {
  KMS_ASSERT_OK_AND_ASSIGN(const std::string hash, hasher_.Hash("correct horse"));
  const std::uint64_t before = hasher_.hashings();
  EXPECT_THAT(hasher_.Verify(std::string(1'000'000, 'x'), hash), IsOkAndHolds(false));
  EXPECT_EQ(hasher_.hashings(), before + 1);
}

TEST_F(PasswordHasherTest, SaysThatADamagedHashIsDamaged) {
  for (const char* bad :
       {"", "x", "$argon2id$", "$argon2i$v=19$m=64,t=1,p=1$c29tc2FsdA$aGFzaGhhc2g",
        "$argon2id$v=19$m=64,t=1,p=1$c29tc2FsdA"}) {
    EXPECT_THAT(hasher_.Verify("correct horse", bad), HasError(ErrorCode::kCorrupted)) << bad;
  }
}

// CVE-2025-6011: user names by timing.
TEST_F(PasswordHasherTest, ANobodyCostsAsManyHashingsAsSomebody) {
  KMS_ASSERT_OK_AND_ASSIGN(const std::string hash, hasher_.Hash("correct horse"));
  const std::uint64_t before = hasher_.hashings();
  EXPECT_THAT(hasher_.Verify("wrong horse", hash), IsOkAndHolds(false));
  EXPECT_EQ(hasher_.hashings(), before + 1);
  EXPECT_THAT(hasher_.VerifyAgainstNobody("wrong horse"), IsOkAndHolds(false));
  EXPECT_EQ(hasher_.hashings(), before + 2);
}

TEST(PasswordHash, A19_RefusesBeyondItsTurnsWithoutHashing) {
  PasswordHasher hasher{kCheap, {.max_running = 0, .max_waiting = 0}};
  EXPECT_THAT(hasher.Hash("correct horse"), HasError(ErrorCode::kResourceExhausted));
  EXPECT_THAT(hasher.VerifyAgainstNobody("correct horse"),
              HasError(ErrorCode::kResourceExhausted, "too many logins at the same time"));
  EXPECT_EQ(hasher.hashings(), 0U);
}

TEST_F(PasswordHasherTest, A19_NeverRunsMoreThanItsTurnsAtOnce) {
  constexpr int kThreads = 16;
  std::atomic<int> done{0};
  std::atomic<std::size_t> most{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      EXPECT_THAT(hasher_.VerifyAgainstNobody("correct horse"), IsOkAndHolds(false));
      ++done;
    });
  }
  while (done < kThreads) {
    most = std::max(most.load(), hasher_.running());
  }
  threads.clear();
  EXPECT_LE(most, 2U);
  EXPECT_EQ(hasher_.running(), 0U);
  EXPECT_EQ(hasher_.hashings(), static_cast<std::uint64_t>(kThreads));
}

}  // namespace
}  // namespace kms
