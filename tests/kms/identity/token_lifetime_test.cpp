// SPDX-License-Identifier: Apache-2.0
// When tokens end, and what renewing them changes (transit-api 10.2).
#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

class TokenLifetimeTest : public testing::TokenWorld {};

// ---- time ---------------------------------------------------------------------------------------

struct TtlCase {
  std::int64_t ttl;
  std::int64_t max;
  std::int64_t explicit_max;
  std::int64_t period;
  std::int64_t lives;  // seconds
};

TEST_F(TokenLifetimeTest, LivesAsLongAsTheSmallestOfItsLimits) {
  constexpr std::int64_t kServer = 2'764'800;
  for (const TtlCase& row :
       {TtlCase{0, 0, 0, 0, kServer}, TtlCase{60, 0, 0, 0, 60},
        TtlCase{kServer + 1, 0, 0, 0, kServer}, TtlCase{0, 100, 0, 0, 100},
        TtlCase{200, 100, 0, 0, 100}, TtlCase{50, 100, 0, 0, 50},
        TtlCase{100, kServer * 9, 0, 0, 100}, TtlCase{kServer * 9, kServer * 9, 0, 0, kServer},
        TtlCase{100, 0, 30, 0, 30}, TtlCase{0, 0, 0, 77, 77},
        TtlCase{0, 10, 0, kServer * 2, kServer * 2}, TtlCase{5, 10, 40, 77, 40}}) {
    TokenGrant grant = Grant(Root());
    grant.ttl_seconds = row.ttl;
    grant.max_ttl_seconds = row.max;
    grant.explicit_max_ttl_seconds = row.explicit_max;
    grant.period_seconds = row.period;
    const std::string token = Issue(grant);
    EXPECT_EQ(Who(token)->creation_ttl_seconds, row.lives);
    clock_.Advance(std::chrono::seconds(row.lives - 1));
    EXPECT_TRUE(IsGood(token)) << row.lives;
    clock_.Advance(std::chrono::seconds(1));
    EXPECT_FALSE(IsGood(token)) << row.lives;
  }
}

TEST_F(TokenLifetimeTest, RefusesNegativeNumbers) {
  for (std::int64_t TokenGrant::* member : {&TokenGrant::ttl_seconds, &TokenGrant::max_ttl_seconds,
                                            &TokenGrant::explicit_max_ttl_seconds,
                                            &TokenGrant::period_seconds, &TokenGrant::num_uses}) {
    TokenGrant grant = Grant(Root());
    grant.*member = -1;
    EXPECT_THAT(tokens().Issue(grant), HasError(ErrorCode::kInvalidArgument));
  }
}

TEST_F(TokenLifetimeTest, ItsEndIsByTheWallClock) {
  TokenGrant grant = Grant(Root());
  grant.ttl_seconds = 60;
  const std::string token = Issue(grant);
  ASSERT_TRUE(IsGood(token));
  clock_.StepWall(std::chrono::seconds(60));
  EXPECT_FALSE(IsGood(token));
}

TEST_F(TokenLifetimeTest, RenewsWithinTheMaximumFromCreation) {
  TokenGrant grant = Grant(Root());
  grant.ttl_seconds = 100;
  grant.max_ttl_seconds = 250;
  const std::string token = Issue(grant);
  const std::int64_t created = Who(token)->created_unix_seconds;
  clock_.Advance(std::chrono::seconds(90));
  KMS_ASSERT_OK_AND_ASSIGN(const PrincipalHandle renewed, tokens().Renew(*Who(token), 0));
  EXPECT_EQ(renewed->expires_unix_seconds, created + 190);
  EXPECT_EQ(renewed->last_renewal_unix_seconds, created + 90);
  clock_.Advance(std::chrono::seconds(90));
  EXPECT_TRUE(IsGood(token));
  EXPECT_EQ(tokens().Renew(*Who(token), 1'000'000).value()->expires_unix_seconds, created + 250);
  EXPECT_EQ(tokens().Renew(*Who(token), 5).value()->expires_unix_seconds, created + 185);
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_FALSE(IsGood(token));
  EXPECT_THAT(tokens().Renew(*renewed, 0), HasError(ErrorCode::kNotFound));
}

TEST_F(TokenLifetimeTest, ALargeIncrementDoesNotOverflow) {
  TokenGrant grant = Grant(Root());
  grant.period_seconds = 50;
  grant.explicit_max_ttl_seconds = 120;
  const std::string token = Issue(grant);
  const std::int64_t created = Who(token)->created_unix_seconds;
  EXPECT_EQ(tokens().Renew(*Who(token), INT64_MAX).value()->expires_unix_seconds, created + 50);
  clock_.Advance(std::chrono::seconds(40));
  EXPECT_EQ(tokens().Renew(*Who(token), 0).value()->expires_unix_seconds, created + 90);
  clock_.Advance(std::chrono::seconds(40));
  EXPECT_EQ(tokens().Renew(*Who(token), 0).value()->expires_unix_seconds, created + 120);
  EXPECT_EQ(tokens().Renew(*Who(Issue()), INT64_MAX).value()->expires_unix_seconds,
            created + 80 + 2'764'800);
}

TEST_F(TokenLifetimeTest, RefusesToRenewWhatIsNotRenewable) {
  TokenGrant grant = Grant(Root());
  grant.renewable = false;
  EXPECT_THAT(tokens().Renew(*Who(Issue(grant)), 0),
              HasError(ErrorCode::kInvalidArgument, "lease is not renewable"));
  EXPECT_THAT(tokens().Renew(*Who(Issue(AsBatch(Grant(Root())))), 0),
              HasError(ErrorCode::kInvalidArgument, "batch tokens cannot be renewed"));
  EXPECT_EQ(tokens().Renew(*Root(), 0).value()->expires_unix_seconds, 0);
  const PrincipalHandle gone = Who(Issue());
  ASSERT_THAT(tokens().Revoke(*gone), IsOk());
  EXPECT_THAT(tokens().Renew(*gone, 0), HasError(ErrorCode::kNotFound));
}

TEST_F(TokenLifetimeTest, AChildEndsWithItsParent) {
  TokenGrant grant = Grant(Root());
  grant.ttl_seconds = 60;
  const PrincipalHandle parent = tokens().Issue(grant).value().principal;
  const std::string child = Issue(Grant(parent));
  const std::string batch = Issue(AsBatch(Grant(parent)));
  ASSERT_TRUE(IsGood(child));
  ASSERT_TRUE(IsGood(batch));
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_FALSE(IsGood(child));
  EXPECT_FALSE(IsGood(batch));
}

TEST_F(TokenLifetimeTest, ARenewedParentKeepsItsChildren) {
  TokenGrant grant = Grant(Root());
  grant.ttl_seconds = 60;
  const PrincipalHandle parent = tokens().Issue(grant).value().principal;
  const std::string child = Issue(Grant(parent));
  ASSERT_TRUE(IsGood(child));
  clock_.Advance(std::chrono::seconds(40));
  ASSERT_THAT(tokens().Renew(*parent, 0), IsOk());
  clock_.Advance(std::chrono::seconds(40));
  EXPECT_TRUE(IsGood(child));
}

}  // namespace
}  // namespace kms
