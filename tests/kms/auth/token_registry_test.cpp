// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/token_registry.h"

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;

constexpr std::string_view kToken = "s.root-token-of-the-test";

RootToken Root() { return {.digest = TokenDigest(kToken), .created_unix_seconds = 17}; }

TEST(TokenRegistry, KnowsTheRootToken) {
  const TokenRegistry registry(Root());

  KMS_ASSERT_OK_AND_ASSIGN(const PrincipalHandle principal, registry.Authenticate(kToken));
  EXPECT_TRUE(principal->is_root);
  EXPECT_EQ(principal->display_name, "root");
  EXPECT_EQ(principal->policies, std::vector<std::string>{"root"});
  EXPECT_EQ(principal->path, "auth/token/root");
  EXPECT_EQ(principal->created_unix_seconds, 17);
  EXPECT_EQ(principal->accessor.size(), 24U);
}

TEST(TokenRegistry, RefusesEverythingElseAlike) {
  const TokenRegistry registry(Root());
  const std::string token(kToken);

  for (const std::string& wrong :
       {std::string{}, std::string("x"), token + " ", " " + token, token.substr(1),
        token + std::string(1, '\0'), std::string("S") + token.substr(1), std::string(100'000, 's'),
        HexEncode(TokenDigest(kToken))}) {
    EXPECT_THAT(registry.Authenticate(wrong),
                HasError(ErrorCode::kPermissionDenied, "permission denied"));
  }
}

TEST(TokenRegistry, RefusesAnEmptyTokenEvenIfItsDigestIsRecorded) {
  const TokenRegistry registry({.digest = TokenDigest("")});

  EXPECT_THAT(registry.Authenticate(""), HasError(ErrorCode::kPermissionDenied));
}

TEST(TokenRegistry, RefusesARevokedTokenWithTheSameText) {
  TokenRegistry registry(Root());

  registry.RevokeRoot();

  EXPECT_THAT(registry.Authenticate(kToken),
              HasError(ErrorCode::kPermissionDenied, "permission denied"));
}

TEST(TokenRegistry, StartsRevokedWhenItWasRevokedBefore) {
  RootToken root = Root();
  root.revoked = true;
  const TokenRegistry registry(root);

  EXPECT_THAT(registry.Authenticate(kToken), HasError(ErrorCode::kPermissionDenied));
}

TEST(TokenRegistry, AccessorIsStableAndTellsNothingOfTheToken) {
  EXPECT_EQ(TokenAccessor(TokenDigest(kToken)), TokenAccessor(TokenDigest(kToken)));
  EXPECT_NE(TokenAccessor(TokenDigest(kToken)), TokenAccessor(TokenDigest("another")));
  EXPECT_EQ(HexEncode(TokenDigest(kToken)).find(TokenAccessor(TokenDigest(kToken))),
            std::string::npos);
}

}  // namespace
}  // namespace kms
