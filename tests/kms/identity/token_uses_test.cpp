// SPDX-License-Identifier: Apache-2.0
// Tokens with a limited number of uses: never one more than granted, whatever happens.
#include <atomic>
#include <latch>
#include <thread>

#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

class TokenUsesTest : public testing::TokenWorld {
 protected:
  std::string IssueLimited(std::int64_t uses) {
    TokenGrant grant = Grant(Root());
    grant.num_uses = uses;
    return Issue(grant);
  }
  // As a request does it.
  Status Use(std::string_view token) {
    const PrincipalHandle principal = KMS_TRY(tokens().Authenticate(token, {}));
    return tokens().SpendUse(*principal);
  }
};

TEST_F(TokenUsesTest, IsUsedAsOftenAsGranted) {
  const std::string token = IssueLimited(3);
  const PrincipalHandle principal = Who(token);
  EXPECT_EQ(principal->num_uses, 3);
  for (int left = 3; left > 0; --left) {
    EXPECT_EQ(tokens().UsesLeft(*principal).value(), left);
    EXPECT_EQ(tokens().Lookup(token).value()->num_uses, left);
    EXPECT_EQ(tokens().LookupAccessor(principal->accessor).value()->num_uses, left);
    EXPECT_EQ(tokens().FindWarm(token, {}), nullptr);
    EXPECT_THAT(Use(token), IsOk());
  }
  EXPECT_THAT(Use(token), HasError(ErrorCode::kPermissionDenied, "permission denied"));
  EXPECT_THAT(tokens().SpendUse(*principal), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(tokens().UsesLeft(*principal), HasError(ErrorCode::kNotFound));
  ExpectNoTokensLeft();
}

TEST_F(TokenUsesTest, AnUnlimitedTokenCostsNothing) {
  const PrincipalHandle principal = Who(Issue());
  const int calls = store_.calls();
  EXPECT_THAT(tokens().SpendUse(*principal), IsOk());
  EXPECT_EQ(tokens().UsesLeft(*principal).value(), 0);
  EXPECT_EQ(store_.calls(), calls);
}

TEST_F(TokenUsesTest, U9_TheLastUseOfFiftyThreadsIsOne) {
  for (int round = 0; round < 20; ++round) {
    const std::string token = IssueLimited(1);
    std::atomic<int> passed{0};
    std::atomic<int> denied{0};
    std::latch start(50);
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 50; ++caller) {
      callers.emplace_back([&] {
        start.arrive_and_wait();
        const Status used = Use(token);
        if (used.has_value()) {
          ++passed;
        } else if (used.error().code == ErrorCode::kPermissionDenied) {
          ++denied;
        }
      });
    }
    for (std::thread& caller : callers) {
      caller.join();
    }
    ASSERT_EQ(passed, 1);
    ASSERT_EQ(denied, 49);
  }
}

TEST_F(TokenUsesTest, U9_ManyThreadsGetExactlyWhatWasGrantedAndShareCommits) {
  const std::string token = IssueLimited(500);
  const PrincipalHandle principal = Who(token);
  const int commits = store_.commits();
  std::atomic<int> passed{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 50; ++caller) {
    callers.emplace_back([&] {
      for (int use = 0; use < 20; ++use) {
        passed += tokens().SpendUse(*principal).has_value() ? 1 : 0;
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(passed, 500);
  EXPECT_LE(store_.commits() - commits, 500);
  EXPECT_THAT(tokens().UsesLeft(*principal), HasError(ErrorCode::kNotFound));
}

TEST_F(TokenUsesTest, U9_ARestartForgetsNoUse) {
  const std::string token = IssueLimited(3);
  for (int use = 0; use < 3; ++use) {
    EXPECT_THAT(Use(token), IsOk());
    Reopen();
  }
  EXPECT_THAT(Use(token), HasError(ErrorCode::kPermissionDenied));
}

// A fault may waste a use; it never gives one away.
TEST_F(TokenUsesTest, U9_NoFaultGivesAUseAway) {
  for (int n = 1; n < 8; ++n) {
    for (const ErrorCode code :
         {ErrorCode::kUnavailable, ErrorCode::kConflict, ErrorCode::kOutcomeUnknown}) {
      const std::string token = IssueLimited(2);
      const PrincipalHandle principal = Who(token);
      store_.FailCall(n, code);
      int passed = tokens().SpendUse(*principal).has_value() ? 1 : 0;
      store_.Heal();
      for (int use = 0; use < 3; ++use) {
        passed += tokens().SpendUse(*principal).has_value() ? 1 : 0;
      }
      EXPECT_EQ(passed, 2) << n;
    }
  }
}

TEST_F(TokenUsesTest, U9_AUseWhoseAnswerWasLostIsWasted) {
  const std::string token = IssueLimited(3);
  const PrincipalHandle principal = Who(token);
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(tokens().SpendUse(*principal), IsOk());
  EXPECT_EQ(tokens().UsesLeft(*principal).value(), 1);

  const PrincipalHandle last = Who(IssueLimited(1));
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(tokens().SpendUse(*last), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(tokens().SpendUse(*last), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(TokenUsesTest, ARevokedTokenHasNoUseLeft) {
  const PrincipalHandle principal = Who(IssueLimited(5));
  ASSERT_THAT(tokens().Revoke(*principal), IsOk());
  EXPECT_THAT(tokens().SpendUse(*principal), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(TokenUsesTest, RenewingWhileOthersSpendLosesNoUse) {
  TokenGrant grant = Grant(Root());
  grant.num_uses = 200;
  const PrincipalHandle principal = Who(Issue(grant));
  std::atomic<bool> stop{false};
  std::thread renewer([&] {
    while (!stop) {
      IgnoreError(tokens().Renew(*principal, 0), "it may be used up");
    }
  });
  std::atomic<int> passed{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int use = 0; use < 100; ++use) {
        passed += tokens().SpendUse(*principal).has_value() ? 1 : 0;
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  stop = true;
  renewer.join();
  EXPECT_LE(passed, 200);
  EXPECT_GE(passed, 1);
}

}  // namespace
}  // namespace kms
