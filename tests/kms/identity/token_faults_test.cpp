// SPDX-License-Identifier: Apache-2.0
// What tokens are bound to, the configured root token, and stores that fail.
#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

class TokenFaultsTest : public testing::TokenWorld {};

// ---- binding ------------------------------------------------------------------------------------

TEST_F(TokenFaultsTest, IsGoodOnlyFromItsAddressesColdAndWarm) {
  TokenGrant grant = Grant(Root());
  grant.bound_cidrs = {CidrBlock::Parse("10.0.0.0/8").value()};
  const std::string token = Issue(grant);
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(tokens().Authenticate(token, {.address = "192.0.2.1"}),
                HasError(ErrorCode::kPermissionDenied, "permission denied"));
    EXPECT_EQ(tokens().FindWarm(token, {.address = "192.0.2.1"}), nullptr);
    EXPECT_THAT(tokens().Authenticate(token, {.address = ""}),
                HasError(ErrorCode::kPermissionDenied));
    EXPECT_THAT(tokens().Authenticate(token, {.address = "10.9.9.9"}), IsOk());
    EXPECT_NE(tokens().FindWarm(token, {.address = "::ffff:10.9.9.9"}), nullptr);
  }
}

TEST_F(TokenFaultsTest, U19_IsGoodOnlyWithItsCertificateColdAndWarm) {
  TokenGrant grant = Grant(Root());
  const Sha256Digest mine{1};
  const Sha256Digest other{2};
  grant.bound_certificate = mine;
  const std::string token = Issue(grant);
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(tokens().Authenticate(token, {}), HasError(ErrorCode::kPermissionDenied));
    EXPECT_EQ(tokens().FindWarm(token, {.certificate = &other}), nullptr);
    EXPECT_THAT(tokens().Authenticate(token, {.certificate = &other}),
                HasError(ErrorCode::kPermissionDenied));
    EXPECT_THAT(tokens().Authenticate(token, {.certificate = &mine}), IsOk());
    EXPECT_NE(tokens().FindWarm(token, {.certificate = &mine}), nullptr);
  }
}

// ---- root ---------------------------------------------------------------------------------------

TEST_F(TokenFaultsTest, TheRootTokenIsWarmFromTheStartAndRevocable) {
  EXPECT_NE(tokens().FindWarm(kRoot, {}), nullptr);
  const std::string child = Issue();
  const std::string batch = Issue(AsBatch(Grant(Root())));
  const std::string orphan = Issue(Grant(nullptr));
  ASSERT_TRUE(IsGood(child));
  const PrincipalHandle root = Root();
  store_.FailCommit(1);
  EXPECT_THAT(tokens().Revoke(*root), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(IsGood(kRoot));
  ASSERT_THAT(tokens().Revoke(*root), IsOk());
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(IsGood(kRoot));
    EXPECT_FALSE(IsGood(child));
    EXPECT_FALSE(IsGood(batch));
    EXPECT_TRUE(IsGood(orphan));
    EXPECT_THAT(tokens().Issue(Grant(root)), HasError(ErrorCode::kPermissionDenied));
    EXPECT_THAT(tokens().LookupAccessor(root->accessor), HasError(ErrorCode::kNotFound));
    EXPECT_THAT(tokens().Revoke(*root), IsOk());
    Reopen();
  }
}

TEST_F(TokenFaultsTest, WhatTheOldRootTokenMadeEndsWithIt) {
  const std::string child = Issue();
  const std::string orphan = Issue(Grant(nullptr));
  tokens_ = TokenStore::Open(sys_, *policies_, clock_, "another root", options_).value();
  EXPECT_FALSE(IsGood(kRoot));
  EXPECT_FALSE(IsGood(child));
  EXPECT_TRUE(IsGood(orphan));
  EXPECT_TRUE(IsGood("another root"));
}

TEST_F(TokenFaultsTest, RefusesAnEmptyRootToken) {
  EXPECT_THAT(TokenStore::Open(sys_, *policies_, clock_, "", options_),
              HasError(ErrorCode::kInvalidArgument));
}

// ---- faults -------------------------------------------------------------------------------------

TEST_F(TokenFaultsTest, AStoreThatFailsIsNeverAGoodToken) {
  const std::string token = Issue();
  const std::string child = Issue(Grant(Who(token)));
  Reopen();
  store_.FailEverything();
  EXPECT_THAT(tokens().Authenticate(token, {}), HasError(ErrorCode::kUnavailable));
  store_.Heal();
  store_.FailCall(2);  // the parent
  EXPECT_THAT(tokens().Authenticate(child, {}), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(IsGood(child));
}

TEST_F(TokenFaultsTest, ATokenWhoseIssueFailedIsNotGoodAndOneWhoseAnswerWasLostIs) {
  TokenGrant grant = Grant(Root());
  grant.custom_id = "mine";
  for (int n = 1; n < 3; ++n) {
    store_.FailCommit(1);
    EXPECT_THAT(tokens().Issue(grant), HasError(ErrorCode::kUnavailable));
    store_.Heal();
    EXPECT_FALSE(IsGood("mine"));
  }
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(tokens().Issue(grant), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(IsGood("mine"));
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(tokens().Issue(grant), IsOk());
  EXPECT_TRUE(IsGood("mine"));
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(tokens().Renew(*Who("mine"), 0), IsOk());
}

TEST_F(TokenFaultsTest, OpensWhateverCallFailsBefore) {
  tokens_.reset();
  for (int n = 1; n < 10; ++n) {
    testing::MemoryStore fresh;
    SealedStore sys(fresh, keys_, Uuid::Random());
    fresh.FailCall(n);
    const bool opened = TokenStore::Open(sys, *policies_, clock_, kRoot, options_).has_value();
    fresh.Heal();
    const auto again = TokenStore::Open(sys, *policies_, clock_, kRoot, options_);
    ASSERT_THAT(again, IsOk());
    EXPECT_THAT((*again)->Authenticate(kRoot, {}), IsOk());
    if (opened) {
      return;
    }
  }
  ADD_FAILURE() << "never opened";
}

TEST_F(TokenFaultsTest, D10_AnAlteredEntryIsNotBelieved) {
  const std::string token = Issue();
  const std::string path = sys_.prefix() + "tokens/" + HexEncode(Who(token)->id);
  Bytes altered = store_.Contents().at(path).value;
  altered.back() ^= 1U;
  store_.Tamper(path, altered);
  Reopen();
  EXPECT_THAT(tokens().Authenticate(token, {}), HasError(ErrorCode::kCorrupted));
  EXPECT_EQ(tokens().FindWarm(token, {}), nullptr);
}

TEST_F(TokenFaultsTest, D10_AnEntryPutInAnothersPlaceIsNotBelieved) {
  const std::string weak = Issue();
  const std::string strong = Issue(Grant(Root(), {"root"}));
  const std::string strong_path = sys_.prefix() + "tokens/" + HexEncode(Who(strong)->id);
  store_.Tamper(sys_.prefix() + "tokens/" + HexEncode(Who(weak)->id),
                store_.Contents().at(strong_path).value);
  Reopen();
  EXPECT_THAT(tokens().Authenticate(weak, {}), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
