// SPDX-License-Identifier: Apache-2.0
// How tokens end: alone, with their tree, with their login source; and what faults leave of it.
#include <atomic>
#include <thread>

#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

class TokenRevokeTest : public testing::TokenWorld {
 protected:
  // A token with two children, one of which has a child, and a batch child.
  struct Tree {
    PrincipalHandle top;
    std::vector<std::string> below;
  };
  Tree Grow() {
    Tree tree;
    tree.top = Who(Issue());
    const std::string left = Issue(Grant(tree.top));
    const std::string right = Issue(Grant(tree.top));
    tree.below = {left, right, Issue(Grant(Who(left))), Issue(AsBatch(Grant(Who(left))))};
    return tree;
  }
  void ExpectAll(const std::vector<std::string>& all, bool good) {
    for (const std::string& token : all) {
      EXPECT_EQ(IsGood(token), good);
    }
  }
  std::size_t Tidy() {
    return tokens().Tidy([] { return false; }).value();
  }
};

TEST_F(TokenRevokeTest, U8_ARevokedTokenIsRefusedColdWarmAndAfterARestart) {
  const std::string token = Issue();
  ASSERT_TRUE(IsGood(token));
  const PrincipalHandle principal = Who(token);
  ASSERT_THAT(tokens().Revoke(*principal), IsOk());
  EXPECT_FALSE(IsGood(token));
  EXPECT_THAT(tokens().Lookup(token), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(tokens().LookupAccessor(principal->accessor), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(tokens().Revoke(*principal), IsOk());
  Reopen();
  EXPECT_FALSE(IsGood(token));
  ExpectNoTokensLeft();
}

TEST_F(TokenRevokeTest, ByAccessor) {
  const std::string token = Issue();
  ASSERT_THAT(tokens().RevokeAccessor(Who(token)->accessor), IsOk());
  EXPECT_FALSE(IsGood(token));
  ASSERT_THAT(tokens().RevokeAccessor(Root()->accessor), IsOk());
  EXPECT_FALSE(IsGood(kRoot));
}

TEST_F(TokenRevokeTest, TakesTheWholeTreeAlong) {
  const Tree tree = Grow();
  const std::string bystander = Issue();
  ExpectAll(tree.below, true);
  ASSERT_THAT(tokens().Revoke(*tree.top), IsOk());
  ExpectAll(tree.below, false);
  EXPECT_TRUE(IsGood(bystander));
  ASSERT_THAT(tokens().Revoke(*Who(bystander)), IsOk());
  ExpectNoTokensLeft();
}

TEST_F(TokenRevokeTest, TakesAWideTreeAlong) {
  const PrincipalHandle top = Who(Issue());
  std::vector<std::string> below;
  for (int index = 0; index < 300; ++index) {
    below.push_back(Issue(Grant(top)));
  }
  ASSERT_THAT(tokens().Revoke(*top), IsOk());
  ExpectAll(below, false);
  ExpectNoTokensLeft();
}

TEST_F(TokenRevokeTest, RevokeOrphanSetsTheChildrenFree) {
  const Tree tree = Grow();
  ExpectAll(tree.below, true);
  ASSERT_THAT(tokens().RevokeOrphan(*tree.top), IsOk());
  ExpectAll(tree.below, true);
  EXPECT_TRUE(Who(tree.below[0])->orphan);
  EXPECT_FALSE(Who(tree.below[2])->orphan);
  Reopen();
  ExpectAll(tree.below, true);
  ASSERT_THAT(tokens().Revoke(*Who(tree.below[0])), IsOk());
  EXPECT_FALSE(IsGood(tree.below[2]));
  EXPECT_FALSE(IsGood(tree.below[3]));
  EXPECT_TRUE(IsGood(tree.below[1]));
}

// The rule: after any failed or cut short revocation, in this process and after a restart, either
// the whole tree is good or none of it is.
TEST_F(TokenRevokeTest, U8_NoFaultLeavesAChildAliveWithoutItsParent) {
  bool finished = false;
  for (int n = 1; !finished && n < 60; ++n) {
    for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kOutcomeUnknown}) {
      const Tree tree = Grow();
      const int before = store_.calls();
      store_.FailCall(n, code);
      const Status revoked = tokens().Revoke(*tree.top);
      finished = store_.calls() - before < n;
      store_.Heal();
      const bool alive = tokens().LookupAccessor(tree.top->accessor).has_value();
      EXPECT_TRUE(!revoked.has_value() || !alive) << n;
      ExpectAll(tree.below, alive);
      Reopen();
      ExpectAll(tree.below, alive);
      EXPECT_THAT(tokens().Revoke(*tree.top), IsOk());
      ExpectAll(tree.below, false);
    }
  }
  EXPECT_TRUE(finished);
  Tidy();
  ExpectNoTokensLeft();
}

TEST_F(TokenRevokeTest, ARevocationWhoseAnswerWasLostHasHappened) {
  const Tree tree = Grow();
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(tokens().Revoke(*tree.top), IsOk());
  ExpectAll(tree.below, false);
}

TEST_F(TokenRevokeTest, NoFaultLosesAChildOfRevokeOrphan) {
  for (int n = 1; n < 60; ++n) {
    const Tree tree = Grow();
    const int before = store_.calls();
    store_.FailCall(n);
    const Status revoked = tokens().RevokeOrphan(*tree.top);
    const bool met = store_.calls() - before >= n;
    store_.Heal();
    ExpectAll(tree.below, true);
    EXPECT_THAT(tokens().RevokeOrphan(*tree.top), IsOk());
    ExpectAll(tree.below, true);
    if (!met) {
      EXPECT_THAT(revoked, IsOk());
      return;
    }
  }
  ADD_FAILURE() << "never finished";
}

// ---- sources ------------------------------------------------------------------------------------

TEST_F(TokenRevokeTest, ASourceTakesItsTokensAndTheirChildrenBatchOnesIncluded) {
  const std::string mine = Issue(LoginGrantOf("auth_a", "alice", "web"));
  const std::string batch = Issue(AsBatch(LoginGrantOf("auth_a", "bob", "web")));
  const std::string child = Issue(Grant(Who(mine)));
  const std::string other = Issue(LoginGrantOf("auth_b", "alice", "web"));
  ExpectAll({mine, batch, child, other}, true);
  EXPECT_EQ(tokens().RevokeSource({.mount_accessor = "auth_a"}).value(), 2U);
  for (int round = 0; round < 2; ++round) {
    ExpectAll({mine, batch, child}, false);
    EXPECT_TRUE(IsGood(other));
    Reopen();
  }
}

TEST_F(TokenRevokeTest, ASourceMayBeOneRoleOrOneAliasOrBoth) {
  const auto make = [this](std::string alias, std::string role) {
    return Issue(AsBatch(LoginGrantOf("auth_a", std::move(alias), std::move(role))));
  };
  const std::string alice_web = make("alice", "web");
  const std::string alice_job = make("alice", "job");
  const std::string bob_web = make("bob", "web");
  const std::string bob_job = make("bob", "job");
  ASSERT_THAT(
      tokens().RevokeSource({.mount_accessor = "auth_a", .role = "web", .alias_name = "alice"}),
      IsOk());
  ExpectAll({alice_web}, false);
  ExpectAll({alice_job, bob_web, bob_job}, true);
  ASSERT_THAT(tokens().RevokeSource({.mount_accessor = "auth_a", .role = "web"}), IsOk());
  ExpectAll({bob_web}, false);
  ExpectAll({alice_job, bob_job}, true);
  ASSERT_THAT(tokens().RevokeSource({.mount_accessor = "auth_a", .alias_name = "alice"}), IsOk());
  ExpectAll({alice_job}, false);
  ExpectAll({bob_job}, true);
  Reopen();
  ExpectAll({alice_web, bob_web, alice_job}, false);
  ExpectAll({bob_job}, true);
}

TEST_F(TokenRevokeTest, WhoLogsInAgainIsLetInEvenInTheSameInstantOrBeforeIt) {
  const std::string before = Issue(LoginGrantOf("auth_a", "alice"));
  ASSERT_THAT(tokens().RevokeSource({.mount_accessor = "auth_a"}), IsOk());
  const std::string after = Issue(LoginGrantOf("auth_a", "alice"));
  const std::string batch = Issue(AsBatch(LoginGrantOf("auth_a", "alice")));
  EXPECT_FALSE(IsGood(before));
  ExpectAll({after, batch}, true);
  clock_.StepWall(-std::chrono::hours(1));
  Reopen();
  ExpectAll({after, batch}, true);
  const std::string earlier = Issue(LoginGrantOf("auth_a", "alice"));
  EXPECT_TRUE(IsGood(earlier));
  ASSERT_THAT(tokens().RevokeSource({.mount_accessor = "auth_a"}), IsOk());
  ExpectAll({before, after, batch, earlier}, false);
}

TEST_F(TokenRevokeTest, U8_ASourceDiesWithOneCommitWhateverFailsAfterIt) {
  for (int n = 1; n < 60; ++n) {
    const std::string mine = Issue(LoginGrantOf("auth_a", "alice"));
    const std::string batch = Issue(AsBatch(LoginGrantOf("auth_a", "alice")));
    const std::string child = Issue(Grant(Who(mine)));
    const int before = store_.calls();
    store_.FailCall(n);
    const Result<std::size_t> revoked = tokens().RevokeSource({.mount_accessor = "auth_a"});
    const bool met = store_.calls() - before >= n;
    store_.Heal();
    const bool alive = n == 1;
    ExpectAll({mine, batch, child}, alive);
    Reopen();
    ExpectAll({mine, batch, child}, alive);
    EXPECT_THAT(tokens().RevokeSource({.mount_accessor = "auth_a"}), IsOk());
    ExpectAll({mine, batch, child}, false);
    if (!met) {
      EXPECT_THAT(revoked, IsOk());
      return;
    }
  }
  ADD_FAILURE() << "never finished";
}

TEST_F(TokenRevokeTest, ASourceNeedsAMount) {
  EXPECT_THAT(tokens().RevokeSource({.mount_accessor = ""}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(tokens().RevokeSource({.mount_accessor = "a/b"}),
              HasError(ErrorCode::kInvalidArgument));
}

// ---- tidy ---------------------------------------------------------------------------------------

TEST_F(TokenRevokeTest, TidyTakesWhatEndedAndNothingElse) {
  TokenGrant brief = Grant(Root());
  brief.ttl_seconds = 60;
  const PrincipalHandle parent = tokens().Issue(brief).value().principal;
  Issue(Grant(parent));
  const std::string stays = Issue();
  EXPECT_EQ(Tidy(), 0U);
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(Tidy(), 2U);
  EXPECT_EQ(Tidy(), 0U);
  EXPECT_TRUE(IsGood(stays));
  EXPECT_THAT(Paths("tokens/"), SizeIs(2));
  EXPECT_THAT(Paths("accessors/"), SizeIs(1));
  EXPECT_THAT(Paths("children/"), SizeIs(1));
}

TEST_F(TokenRevokeTest, TidyTakesWhatACrashLeft) {
  const Tree tree = Grow();
  store_.FailCommit(2);
  ASSERT_THAT(tokens().Revoke(*tree.top), IsOk());
  ASSERT_THAT(Paths("tokens/"), SizeIs(4));
  EXPECT_EQ(Tidy(), 3U);
  ExpectNoTokensLeft();
}

TEST_F(TokenRevokeTest, TidyStopsWhenAskedTo) {
  TokenGrant brief = Grant(Root());
  brief.ttl_seconds = 60;
  for (int index = 0; index < 5; ++index) {
    Issue(brief);
  }
  clock_.Advance(std::chrono::seconds(60));
  int asked = 0;
  EXPECT_EQ(tokens().Tidy([&] { return ++asked > 2; }).value(), 2U);
}

// ---- threads ------------------------------------------------------------------------------------

TEST_F(TokenRevokeTest, U8_C18_NoThreadIsLetInOnceRevokeHasReturned) {
  for (int round = 0; round < 50; ++round) {
    const PrincipalHandle parent = Who(Issue());
    const std::string child = Issue(Grant(parent));
    const std::string batch = Issue(AsBatch(Grant(parent)));
    std::atomic<bool> revoked{false};
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (const std::string& token : {child, batch, child, batch}) {
      callers.emplace_back([&, token] {
        while (!stop) {
          const bool dead = revoked;
          if (tokens().FindWarm(token, {}) != nullptr && dead) {
            ++wrong;
          }
          if (tokens().Authenticate(token, {}).has_value() && dead) {
            ++wrong;
          }
        }
      });
    }
    EXPECT_THAT(tokens().Revoke(*parent), IsOk());
    revoked = true;
    for (int index = 0; index < 20; ++index) {
      EXPECT_FALSE(IsGood(child));
      EXPECT_FALSE(IsGood(batch));
    }
    stop = true;
    for (std::thread& caller : callers) {
      caller.join();
    }
    ASSERT_EQ(wrong, 0);
  }
}

TEST_F(TokenRevokeTest, U18_ParallelMixedTokensAreNeverAnsweredWrongly) {
  std::vector<std::string> good;
  std::vector<std::string> bad;
  for (int index = 0; index < 20; ++index) {
    good.push_back(Issue());
    good.push_back(Issue(AsBatch(Grant(Root()))));
    bad.push_back(Issue());
    ASSERT_THAT(tokens().Revoke(*Who(bad.back())), IsOk());
    std::string altered = good.back();
    altered[10] = altered[10] == 'A' ? 'B' : 'A';
    bad.push_back(altered);
  }
  Reopen();
  std::atomic<int> wrong{0};
  std::atomic<int> asked{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (std::size_t index = 0; index < 1000; ++index) {
        const std::size_t pick = (index * 7 + static_cast<std::size_t>(caller)) % good.size();
        const std::string& right = good[pick];
        const Result<PrincipalHandle> found = tokens().Authenticate(right, {});
        const PrincipalHandle warm = tokens().FindWarm(right, {});
        if (!found.has_value() || (warm != nullptr && warm->accessor != (*found)->accessor)) {
          ++wrong;
        }
        if (tokens().Authenticate(bad[pick], {}).has_value() ||
            tokens().FindWarm(bad[pick], {}) != nullptr) {
          ++wrong;
        }
        asked += 2;
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(asked, 16'000);
}

TEST_F(TokenRevokeTest, AChildMadeWhileItsParentDiesIsDead) {
  for (int round = 0; round < 50; ++round) {
    const PrincipalHandle parent = Who(Issue());
    std::vector<std::string> children;
    std::thread maker([&] {
      for (int index = 0; index < 20; ++index) {
        const Result<IssuedToken> issued = tokens().Issue(Grant(parent));
        if (!issued.has_value()) {
          return;
        }
        children.push_back(TextOf(*issued));
      }
    });
    EXPECT_THAT(tokens().Revoke(*parent), IsOk());
    maker.join();
    for (const std::string& child : children) {
      ASSERT_FALSE(IsGood(child));
    }
  }
  Tidy();
  ExpectNoTokensLeft();
}

}  // namespace
}  // namespace kms
