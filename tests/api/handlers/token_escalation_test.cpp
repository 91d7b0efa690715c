// SPDX-License-Identifier: Apache-2.0
// U21: whatever a caller without sudo asks for, by whichever verb that makes a token, it never ends
// up with more than it has.
#include <array>
#include <random>

#include "tests/api/handlers/token_api.h"

namespace kms::testing {
namespace {

class TokenEscalation : public TokenApi {
 protected:
  static constexpr std::array<std::string_view, 6> kNames = {"maker", "app",  "default",
                                                             "admin", "root", "response-wrapping"};

  std::string Pick(std::initializer_list<std::string_view> values) {
    return std::string(*(values.begin() + static_cast<std::ptrdiff_t>(Below(values.size()))));
  }
  std::size_t Below(std::size_t count) { return random_() % count; }
  bool Flip() { return Below(2) == 0; }

  std::string SomePolicies() {
    std::string list;
    for (const std::string_view name : kNames) {
      if (Below(3) == 0) {
        list += (list.empty() ? "" : ",") + std::string(name);
      }
    }
    return list;
  }

  // A request with any of what create takes.
  std::string SomeRequest() {
    std::string body = "{\"display_name\":\"x\"";
    if (Flip()) {
      body += ",\"policies\":\"" + SomePolicies() + "\"";
    }
    const auto maybe = [&](const char* member) {
      if (Below(4) == 0) {
        body += ",";
        body += member;
      }
    };
    maybe(R"("no_parent":true)");
    maybe(R"("period":"100h")");
    maybe(R"("id":"chosen")");
    maybe(R"("no_default_policy":true)");
    maybe(R"("type":"batch")");
    maybe(R"("ttl":"100000h")");
    maybe(R"("explicit_max_ttl":"100000h")");
    maybe(R"("num_uses":2)");
    maybe(R"("meta":{"role":"root","policies":"root"})");
    maybe(R"("token_policies":["root"])");
    maybe(R"("bound_cidrs":[])");
    maybe(R"("root":true)");
    return body + "}";
  }

  std::mt19937 random_{20'260'101};
};

TEST_F(TokenEscalation, U21_NoVerbThatMakesATokenGivesMoreThanItsCallerHas) {
  ASSERT_EQ(Root("roles/open", R"({"disallowed_policies":["app"]})").status, 204);
  TokenGrant grant;
  grant.policies = {"app", "maker"};
  grant.bound_cidrs = {CidrBlock::Parse("127.0.0.0/8").value()};
  const IssuedToken issued = api_.tokens().Issue(grant).value();
  ASSERT_TRUE(api_.identity()
                  .policies()
                  .Put(*IdentityName::Parse("app"),
                       "path \"dev/encrypt/app\" { capabilities = "
                       "[\"update\"] }")
                  .has_value());
  std::vector<std::string> callers{std::string(AsText(issued.token.View()))};
  int made = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string caller = callers[Below(callers.size())];
    const std::string path = Pick({"create", "create-orphan", "create/open", "create/mine"});
    if (Below(10) == 0) {  // a role of one's own, if it is let through
      Post(caller, "roles/mine",
           R"({"allowed_policies":")" + SomePolicies() + R"(","orphan":)" +
               (Flip() ? "true" : "false") + "}");
    }
    const std::string body = SomeRequest();
    const ApiAnswer answer = Post(caller, path, body);
    if (answer.status != 200) {
      EXPECT_TRUE(answer.status == 400 || answer.status == 403) << answer.status << answer.body;
      continue;
    }
    ++made;
    const std::string token = ClientToken(answer);
    const PrincipalHandle child = Who(token);
    EXPECT_FALSE(child->is_root) << body;
    EXPECT_EQ(child->actor, issued.principal->actor) << body;
    EXPECT_EQ(child->bound_cidrs, grant.bound_cidrs) << body;
    EXPECT_EQ(child->period_seconds, 0) << body;
    EXPECT_LE(child->expires_unix_seconds - child->created_unix_seconds,
              api_.tokens().options().max_ttl_seconds);
    EXPECT_NE(child->expires_unix_seconds, 0) << body;
    EXPECT_NE(token, "chosen");
    for (const std::string& policy : child->policies) {
      EXPECT_TRUE(policy == "app" || policy == "maker") << policy << " by " << path << " " << body;
    }
    if (callers.size() < 12 && child->type == TokenType::kService) {
      callers.push_back(token);
    }
  }
  EXPECT_GT(made, 300);
}

}  // namespace
}  // namespace kms::testing
