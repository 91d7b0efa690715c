// SPDX-License-Identifier: Apache-2.0
// Batch tokens: sealed in themselves, checked against whom they came from.
#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;

class BatchTokenTest : public testing::TokenWorld {};

// ---- batch tokens -------------------------------------------------------------------------------

TEST_F(BatchTokenTest, ABatchTokenLeavesNothingInTheStore) {
  const auto before = store_.Contents().size();
  const std::string token = Issue(AsBatch(LoginGrantOf("auth_test_1", "alice")));
  EXPECT_THAT(token, HasSubstr("hvb."));
  EXPECT_EQ(store_.Contents().size(), before);
  Reopen();
  EXPECT_TRUE(IsGood(token));
  EXPECT_THAT(Who(token)->accessor, IsEmpty());
  EXPECT_EQ(Who(token)->type, TokenType::kBatch);
  EXPECT_FALSE(Who(token)->renewable);
  EXPECT_EQ(Who(token)->id, Sha256Digest{});
}

TEST_F(BatchTokenTest, ABatchTokenIsRefusedWhatItCannotHave) {
  TokenGrant root = AsBatch(Grant(Root(), {"root"}));
  TokenGrant limited = AsBatch(Grant(Root()));
  limited.num_uses = 1;
  TokenGrant periodic = AsBatch(Grant(Root()));
  periodic.period_seconds = 60;
  TokenGrant chosen = AsBatch(Grant(Root()));
  chosen.custom_id = "mine";
  TokenGrant large = AsBatch(Grant(Root()));
  large.metadata["text"] = std::string(8192, 'x');
  for (const TokenGrant& grant : {root, limited, periodic, chosen, large}) {
    EXPECT_THAT(tokens().Issue(grant),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("batch token")));
  }
  EXPECT_THAT(tokens().Revoke(*Who(Issue(AsBatch(Grant(Root()))))),
              HasError(ErrorCode::kInvalidArgument, "batch tokens cannot be revoked"));
}

TEST_F(BatchTokenTest, NoBitOfABatchTokenMayChange) {
  const std::string token = Issue(AsBatch(Grant(Root())));
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t index = 4; index < token.size(); ++index) {
    std::string altered = token;
    altered[index] = kAlphabet[kAlphabet.find(altered[index]) ^ 1U];
    EXPECT_FALSE(IsGood(altered)) << index;
  }
  EXPECT_FALSE(IsGood(token + "A"));
  EXPECT_FALSE(IsGood(token.substr(0, token.size() - 1)));
  EXPECT_FALSE(IsGood("hvb."));
  EXPECT_FALSE(IsGood("hvb.AQ"));
}

TEST_F(BatchTokenTest, ABatchTokenOfAnotherServiceIsNotGood) {
  testing::MemoryStore other_store;
  SealedStore other(other_store, keys_, Uuid::Random());
  const auto elsewhere = TokenStore::Open(other, *policies_, clock_, kRoot, options_).value();
  const std::string token =
      TextOf(elsewhere->Issue(AsBatch(LoginGrantOf("auth_test_1", "alice"))).value());
  EXPECT_THAT(elsewhere->Authenticate(token, {}), IsOk());
  EXPECT_FALSE(IsGood(token));
}

TEST_F(BatchTokenTest, ABatchTokenEnds) {
  TokenGrant grant = AsBatch(Grant(Root()));
  grant.ttl_seconds = 60;
  const std::string token = Issue(grant);
  ASSERT_TRUE(IsGood(token));
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_FALSE(IsGood(token));
}

}  // namespace
}  // namespace kms
