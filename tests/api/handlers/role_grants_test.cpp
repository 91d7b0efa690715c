// SPDX-License-Identifier: Apache-2.0
// U21: whoever may write roles and users of login methods gives no policy away that is not theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

struct Writing {
  const char* target;
  const char* body;  // up to the policies
};

constexpr Writing kWritings[] = {
    {"/v1/auth/approle/role/mine", R"({)"},
    {"/v1/auth/userpass/users/mine", R"({"password":"long enough","ttl":60,)"},
    {"/v1/auth/jwt/role/mine", R"({"role_type":"jwt","user_claim":"sub","bound_subject":"a",)"},
};

class RoleGrants : public ::testing::Test {
 protected:
  void SetUp() override {
    api_.EnableEveryAuthMethod();
    plain_ =
        api_.TokenWith("writer", R"(path "auth/+/role/*" { capabilities = ["create", "update"] }
                     path "auth/+/users/*" { capabilities = ["create", "update"] })");
    sudo_ =
        api_.TokenWith("chief", R"(path "auth/*" { capabilities = ["create", "update", "sudo"] })");
  }

  ApiAnswer Write(const std::string& token, const Writing& writing, const std::string& policies) {
    return api_.CallAs(token,
                       {api::HttpMethod::kPost, writing.target, writing.body + policies + "}", {}});
  }

  ApiService api_;
  std::string plain_;
  std::string sudo_;
};

TEST_F(RoleGrants, U21_NobodyGrantsWhatTheyDoNotHave) {
  for (const Writing& writing : kWritings) {
    for (const char* policies :
         {R"("token_policies":["admin"])", R"("token_policies":["writer","admin"])",
          R"("token_policies":"writer, ADMIN")", R"("policies":["admin"])",
          R"("token_policies":["writer"],"policies":["admin"])", R"("token_policies":["root"])"}) {
      const ApiAnswer answer = Write(plain_, writing, policies);
      EXPECT_EQ(answer.status, 403) << writing.target << policies << answer.body;
      EXPECT_THAT(answer.body, HasSubstr("without sudo")) << writing.target;
    }
  }
}

TEST_F(RoleGrants, U21_OneFieldOfARoleIsNoWayAround) {
  ASSERT_EQ(Write(plain_, kWritings[0], R"("token_policies":["writer"])").status, 204);
  const ApiAnswer answer = api_.CallAs(plain_, {api::HttpMethod::kPost,
                                                "/v1/auth/approle/role/mine/policies",
                                                R"({"token_policies":["admin"]})",
                                                {}});
  EXPECT_EQ(answer.status, 403) << answer.body;
}

TEST_F(RoleGrants, TheirOwnPoliciesAreTheirsToGive) {
  for (const Writing& writing : kWritings) {
    const ApiAnswer answer = Write(plain_, writing, R"("token_policies":["Writer","default"])");
    EXPECT_LT(answer.status, 300) << writing.target << answer.body;
  }
}

TEST_F(RoleGrants, SudoGrantsEverythingButRoot) {
  for (const Writing& writing : kWritings) {
    EXPECT_LT(Write(sudo_, writing, R"("token_policies":["admin"])").status, 300) << writing.target;
    EXPECT_EQ(Write(sudo_, writing, R"("token_policies":["root"])").status, 400) << writing.target;
  }
}

}  // namespace
}  // namespace kms::testing
