// SPDX-License-Identifier: Apache-2.0
// auth/token/create, create-orphan, create/:role and roles against transit-api 10.1, 10.2.
#include "tests/api/handlers/token_api.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class TokenCreateApi : public TokenApi {};

TEST_F(TokenCreateApi, AnswersWithTheAuthObject) {
  const ApiAnswer answer = Root("create", R"({"policies":["App"],"meta":{"team":"blue"},"ttl":"1h",
                         "display_name":"ci job","explicit_max_ttl":7200})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.holds_secret);
  const std::string token = ClientToken(answer);
  EXPECT_THAT(
      answer.body,
      AllOf(HasSubstr(R"("data":null)"),
            HasSubstr(R"("auth":{"client_token":")" + token + R"(","accessor":")"),
            HasSubstr(R"("policies":["app","default"],"token_policies":["app","default"],)"
                      R"("metadata":{"team":"blue"},"lease_duration":3600,"renewable":true,)"
                      R"("entity_id":"","token_type":"service","orphan":false,)"
                      R"("mfa_requirement":null,"num_uses":0})"),
            HasSubstr(R"("warnings":["Policy \"app\" does not exist"])")));
  const PrincipalHandle made = Who(token);
  EXPECT_EQ(made->display_name, "token-ci-job");
  EXPECT_EQ(made->path, "auth/token/create");
  EXPECT_EQ(made->explicit_max_ttl_seconds, 7200);
  EXPECT_FALSE(made->is_root);
}

TEST_F(TokenCreateApi, WithoutPoliciesAChildHasThoseOfItsParent) {
  EXPECT_THAT(Who(ClientToken(Post(maker_, "create")))->policies, ElementsAre("maker"));
  EXPECT_TRUE(Who(Made("{}"))->is_root);
  EXPECT_EQ(Who(Made("{}"))->expires_unix_seconds, 0);
  EXPECT_NE(Who(Made(R"({"policies":["root"],"ttl":60})"))->expires_unix_seconds, 0);
}

TEST_F(TokenCreateApi, TheDefaultPolicyComesAlongUnlessRefused) {
  EXPECT_THAT(Who(Made(R"({"policies":"a, b"})"))->policies, ElementsAre("a", "b", "default"));
  EXPECT_THAT(Who(Made(R"({"policies":["a"],"no_default_policy":true})"))->policies,
              ElementsAre("a"));
  EXPECT_THAT(Who(ClientToken(Post(maker_, "create", R"({"policies":["maker"]})")))->policies,
              ElementsAre("maker"));
}

TEST_F(TokenCreateApi, MakesBatchTokens) {
  const ApiAnswer answer = Root("create", R"({"policies":["app"],"type":"batch"})");
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr(R"("client_token":"hvb.)"), HasSubstr(R"("accessor":"")"),
                    HasSubstr(R"("renewable":false)"), HasSubstr(R"("token_type":"batch")")));
  EXPECT_EQ(Root("create", R"({"policies":["app"],"type":"bunch"})").status, 400);
  const std::string batch = Made(R"({"policies":["admin"],"type":"batch"})");
  EXPECT_THAT(Post(batch, "create").body, HasSubstr("batch tokens cannot create more tokens"));
  EXPECT_THAT(Post(batch, "create-orphan").body, HasSubstr("batch tokens cannot create more"));
  EXPECT_THAT(Post(batch, "revoke-self").body, HasSubstr("batch tokens cannot be revoked"));
  EXPECT_THAT(Post(batch, "renew-self").body, HasSubstr("batch tokens cannot be renewed"));
}

TEST_F(TokenCreateApi, SpringsFixedRootToken) {
  EXPECT_EQ(Made(R"({"id":"00000000-0000-0000-0000-000000000001","policies":["root"]})"),
            "00000000-0000-0000-0000-000000000001");
  EXPECT_THAT(Root("create", R"({"id":"00000000-0000-0000-0000-000000000001"})").body,
              HasSubstr("cannot create a token with a duplicate ID"));
}

TEST_F(TokenCreateApi, TerraformsChildIsRevocable) {
  const std::string child =
      ClientToken(Post(maker_, "create", R"({"ttl":"20m","display_name":"terraform"})"));
  EXPECT_EQ(Post(child, "revoke-self").status, 204);
  EXPECT_EQ(Post(child, "renew-self").status, 403);
}

TEST_F(TokenCreateApi, RefusesMalformedFields) {
  for (const char* body :
       {R"({"policies":{"a":1}})", R"({"policies":[1]})", R"({"policies":["a/b"]})",
        R"({"policies":["a b"]})", R"({"meta":["a"]})", R"({"meta":{"a":1}})", R"({"ttl":"soon"})",
        R"({"ttl":-1})", R"({"num_uses":-1})", R"({"period":"x"})", R"({"renewable":"perhaps"})",
        R"({"entity_alias":"a"})", R"({"id":"hvs.x"})"}) {
    EXPECT_EQ(Root("create", body).status, 400) << body;
  }
}

TEST_F(TokenCreateApi, NamesTheNewTokenInTheAuditLog) {
  const ApiAnswer answer = Root("create", R"({"policies":["app"]})");
  EXPECT_EQ(Who(ClientToken(answer))->accessor, Accessor(answer));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(Accessor(answer)));
}

// ---- who may give what --------------------------------------------------------------------------

TEST_F(TokenCreateApi, U21_WithoutSudoPoliciesAreASubset) {
  for (const char* path : {"create", "create-orphan"}) {
    EXPECT_THAT(Post(maker_, path, R"({"policies":["maker","admin"]})").body,
                HasSubstr("child policies must be subset of parent"));
    EXPECT_THAT(Post(maker_, path, R"({"policies":["default"]})").body,
                HasSubstr("child policies must be subset of parent"));
    EXPECT_THAT(Post(maker_, path, R"({"policies":["ROOT"]})").body,
                HasSubstr("root tokens may not be created"));
    EXPECT_EQ(Post(maker_, path, R"({"policies":["MAKER"]})").status, 200);
    EXPECT_EQ(Post(admin_, path, R"({"policies":["anything"]})").status, 200);
    EXPECT_THAT(Post(admin_, path, R"({"policies":["root"]})").body,
                HasSubstr("root tokens may not be created"));
  }
  for (const char* never : {"response-wrapping", "control-group"}) {
    EXPECT_THAT(Root("create", R"({"policies":[")" + std::string(never) + "\"]}").body,
                HasSubstr("cannot assign policy"));
  }
}

TEST_F(TokenCreateApi, U21_IdPeriodAndNoParentNeedSudo) {
  for (const char* path : {"create", "create-orphan"}) {
    for (const char* body : {R"({"id":"mine"})", R"({"period":60})", R"({"no_parent":true})"}) {
      const ApiAnswer refused = Post(maker_, path, body);
      EXPECT_EQ(refused.status, 400) << body;
      EXPECT_THAT(refused.body, HasSubstr("root or sudo privileges required")) << body;
      EXPECT_EQ(Post(admin_, path, body).status, 200) << body;
      api_.tokens().Revoke(*Who(admin_)).value();
      admin_ = api_.TokenWith("admin", kAdmin);
      IgnoreError(api_.tokens().Lookup("mine"), "an orphan may be left");
      if (const auto left = api_.tokens().Lookup("mine")) {
        api_.tokens().Revoke(**left).value();
      }
    }
  }
}

TEST_F(TokenCreateApi, U21_AnOrphanStaysTheDeedOfItsMaker) {
  const std::string orphan = ClientToken(Post(maker_, "create-orphan"));
  EXPECT_TRUE(Who(orphan)->orphan);
  EXPECT_EQ(Who(orphan)->actor, Who(maker_)->actor);
  EXPECT_EQ(Who(ClientToken(Post(orphan, "create")))->actor, Who(maker_)->actor);
  ASSERT_EQ(Post(maker_, "revoke-self").status, 204);
  EXPECT_TRUE(IsGood(orphan));
}

TEST_F(TokenCreateApi, U21_ALimitedTokenMakesNoOther) {
  const std::string limited = Made(R"({"policies":["maker"],"num_uses":3})");
  EXPECT_THAT(Post(limited, "create").body, HasSubstr("restricted use token"));
  EXPECT_THAT(Post(limited, "create-orphan").body, HasSubstr("restricted use token"));
}

TEST_F(TokenCreateApi, U21_AnExpiringRootTokenMakesNoneThatLivesForEver) {
  const std::string root = Made(R"({"policies":["root"],"ttl":60})");
  EXPECT_THAT(Post(root, "create").body,
              HasSubstr("expiring root tokens cannot create non-expiring root tokens"));
  EXPECT_EQ(Post(root, "create", R"({"ttl":60})").status, 200);
}

TEST_F(TokenCreateApi, U21_WhatBindsAParentBindsItsChildrenAndOrphans) {
  TokenGrant grant;
  grant.policies = {"admin"};
  grant.bound_cidrs = {CidrBlock::Parse("127.0.0.0/8").value()};
  const IssuedToken bound = api_.tokens().Issue(grant).value();
  const std::string token(AsText(bound.token.View()));
  for (const char* path : {"create", "create-orphan"}) {
    for (const char* body : {"{}", R"({"type":"batch"})", R"({"no_parent":true})"}) {
      EXPECT_EQ(Who(ClientToken(Post(token, path, body)))->bound_cidrs, grant.bound_cidrs);
    }
  }
  ASSERT_EQ(Root("roles/narrow", R"({"allowed_policies":["admin"],
                                     "token_bound_cidrs":["127.0.0.1","10.0.0.0/8"]})")
                .status,
            204);
  EXPECT_THAT(Who(ClientToken(Post(token, "create/narrow")))->bound_cidrs,
              ElementsAre(CidrBlock::Parse("127.0.0.1").value()));
  ASSERT_EQ(Root("roles/narrow", R"({"token_bound_cidrs":"10.0.0.0/8"})").status, 204);
  EXPECT_EQ(Post(token, "create/narrow").status, 400);
}

TEST_F(TokenCreateApi, AChildIsItsParentsEntity) {
  api_.EnableEveryAuthMethod();
  TokenGrant login;
  login.policies = {"maker"};
  login.entity_id = "entity-1";
  login.alias_mount = "auth_x";
  login.alias_name = "alice";
  const std::string alice(AsText(api_.tokens().Issue(login).value().token.View()));
  const PrincipalHandle child = Who(ClientToken(Post(alice, "create")));
  EXPECT_EQ(child->entity_id, "entity-1");
  EXPECT_EQ(child->actor, "entity-1");
  const PrincipalHandle orphan = Who(ClientToken(Post(alice, "create-orphan")));
  EXPECT_EQ(orphan->entity_id, "");
  EXPECT_EQ(orphan->actor, "entity-1");
}

// ---- roles --------------------------------------------------------------------------------------

TEST_F(TokenCreateApi, ARoleIsWrittenReadListedAndDeleted) {
  ASSERT_EQ(Root("roles/Nightly",
                 R"({"allowed_policies":"b,A","disallowed_policies":["c"],"orphan":true,
                     "renewable":false,"path_suffix":"ci","token_period":"1h",
                     "token_bound_cidrs":["10.0.0.0/8"],"token_num_uses":2,
                     "explicit_max_ttl":"2h","allowed_policies_glob":["X-*"]})")
                .status,
            204);
  const ApiAnswer read = Get(ApiService::kToken, "roles/nightly");
  EXPECT_THAT(
      read.body,
      HasSubstr(R"({"name":"nightly","allowed_policies":["a","b"],"allowed_policies_glob":["x-*"],)"
                R"("disallowed_policies":["c"],"disallowed_policies_glob":[],)"
                R"("explicit_max_ttl":7200,"period":3600,"orphan":true,"renewable":false,)"
                R"("path_suffix":"ci","token_bound_cidrs":["10.0.0.0/8"],)"
                R"("token_explicit_max_ttl":7200,"token_max_ttl":0,)"
                R"("token_no_default_policy":false,"token_num_uses":2,"token_period":3600,)"
                R"("token_policies":[],"token_strictly_bind_ip":false,"token_ttl":0,)"
                R"("token_type":"default"})"));
  EXPECT_THAT(List(ApiService::kToken, "roles").body, HasSubstr(R"("keys":["nightly"])"));
  ASSERT_EQ(Root("roles/nightly", R"({"renewable":true})").status, 204);
  EXPECT_THAT(Get(ApiService::kToken, "roles/nightly").body,
              AllOf(HasSubstr(R"("renewable":true)"), HasSubstr(R"("orphan":true)")));
  EXPECT_EQ(api_.Delete("/v1/auth/token/roles/nightly").status, 204);
  EXPECT_EQ(Get(ApiService::kToken, "roles/nightly").status, 404);
  EXPECT_EQ(List(ApiService::kToken, "roles").status, 404);
  EXPECT_THAT(Root("create/nightly").body, HasSubstr("unknown role"));
}

TEST_F(TokenCreateApi, ARoleGivesWhatItAllows) {
  ASSERT_EQ(Root("roles/job", R"({"allowed_policies":["app","web"],"token_period":120,
                                  "path_suffix":"job","renewable":false})")
                .status,
            204);
  const PrincipalHandle made = Who(ClientToken(Post(maker_, "create/job")));
  EXPECT_THAT(made->policies, ElementsAre("app", "web"));
  EXPECT_EQ(made->role, "job");
  EXPECT_EQ(made->path, "auth/token/create/job/job");
  EXPECT_EQ(made->period_seconds, 120);
  EXPECT_FALSE(made->renewable);
  EXPECT_THAT(Who(ClientToken(Post(maker_, "create/job", R"({"policies":["web"]})")))->policies,
              ElementsAre("web"));
  EXPECT_THAT(Post(maker_, "create/job", R"({"policies":["maker"]})").body,
              HasSubstr("must be subset of the role's allowed policies"));
  EXPECT_THAT(Post(maker_, "create/job", R"({"policies":["root"]})").body,
              HasSubstr("root tokens may not be created"));
}

TEST_F(TokenCreateApi, ARoleGivesByGlobAndRefusesWhatItDisallows) {
  ASSERT_EQ(Root("roles/glob", R"({"allowed_policies_glob":["team-*"],
                                   "disallowed_policies":["team-x"],
                                   "disallowed_policies_glob":["*-admin"]})")
                .status,
            204);
  EXPECT_EQ(Post(maker_, "create/glob", R"({"policies":["team-a"]})").status, 200);
  for (const char* policy : {"team-x", "team-a-admin", "tea", "other"}) {
    EXPECT_EQ(
        Post(maker_, "create/glob", R"({"policies":[")" + std::string(policy) + "\"]}").status, 400)
        << policy;
  }
  EXPECT_EQ(Root("roles/glob", R"({"allowed_policies_glob":["a*b"]})").status, 400);
}

TEST_F(TokenCreateApi, ARoleThatOnlyDisallowsLeavesTheSubsetRule) {
  ASSERT_EQ(Root("roles/less", R"({"disallowed_policies":["secret"]})").status, 204);
  EXPECT_EQ(Post(maker_, "create/less", R"({"policies":["maker"]})").status, 200);
  EXPECT_THAT(Post(maker_, "create/less", R"({"policies":["admin"]})").body,
              HasSubstr("child policies must be subset of parent"));
  EXPECT_THAT(Root("create/less", R"({"policies":["secret"]})").body,
              HasSubstr("disallowed by this role"));
}

TEST_F(TokenCreateApi, U21_WritingARoleTakesSudoForWhatTheWriterHasNot) {
  for (const char* body :
       {R"({"allowed_policies":["admin"]})", R"({"allowed_policies":["maker","root"]})",
        R"({"allowed_policies_glob":["*"]})", R"({"orphan":true})", R"({"token_period":60})",
        R"({"period":60})"}) {
    EXPECT_EQ(Post(maker_, "roles/mine", body).status, 400) << body;
    EXPECT_EQ(Get(maker_, "roles/mine").status, 404);
    EXPECT_EQ(Post(admin_, "roles/theirs", body).status, 204) << body;
    ASSERT_EQ(api_.Delete("/v1/auth/token/roles/theirs").status, 204);
  }
  EXPECT_EQ(Post(maker_, "roles/mine", R"({"allowed_policies":["maker"]})").status, 204);
  // A role that somebody with sudo wrote is not the maker's to change in any way.
  ASSERT_EQ(Root("roles/strong", R"({"allowed_policies":["admin"]})").status, 204);
  EXPECT_EQ(Post(maker_, "roles/strong", R"({"renewable":false})").status, 400);
}

TEST_F(TokenCreateApi, RefusesMalformedRoles) {
  for (const char* body :
       {R"({"path_suffix":"a/b"})", R"({"path_suffix":"../x"})", R"({"token_type":"x"})",
        R"({"token_type":"batch","token_num_uses":1})", R"({"token_bound_cidrs":["x"]})",
        R"({"allowed_policies":["a b"]})", R"({"token_policies":["root"]})",
        R"({"token_ttl":"2h","token_max_ttl":"1h"})", R"({"token_num_uses":-1})"}) {
    EXPECT_EQ(Root("roles/bad", body).status, 400) << body;
  }
  EXPECT_EQ(Root("roles/bad%20name", "{}").status, 400);
  EXPECT_THAT(Root("create/bad%20name").body, Not(HasSubstr("client_token")));
}

}  // namespace
}  // namespace kms::testing
