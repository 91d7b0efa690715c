// SPDX-License-Identifier: Apache-2.0
// auth/token/lookup, renew, revoke, accessors, revoke-source, tidy against transit-api 10.2.
#include "tests/api/handlers/token_api.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TokenLookupApi : public TokenApi {
 protected:
  static std::string Naming(std::string_view field, std::string_view value) {
    return "{\"" + std::string(field) + "\":\"" + std::string(value) + "\"}";
  }
};

TEST_F(TokenLookupApi, ShowsATokenToWhoeverPresentsIt) {
  const std::string token =
      Made(R"({"policies":["maker"],"ttl":"1h","meta":{"a":"b"},"num_uses":0})");
  api_.clock.Advance(std::chrono::seconds(10));
  const ApiAnswer answer = Get(token, "lookup-self");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.holds_secret);
  EXPECT_THAT(
      answer.body,
      AllOf(HasSubstr(R"("data":{"id":")" + token + R"(","accessor":")"),
            HasSubstr(R"("policies":["default","maker"],"path":"auth/token/create",)"
                      R"("meta":{"a":"b"},"display_name":"token","num_uses":0,"orphan":false,)"
                      R"("creation_time":1767225600,"creation_ttl":3600,)"
                      R"("expire_time":"2026-01-01T01:00:00)"),
            HasSubstr(R"("ttl":3590,"explicit_max_ttl":0,"entity_id":"","type":"service",)"
                      R"("renewable":true})")));
  EXPECT_EQ(Post(token, "lookup-self").status, 200);
  EXPECT_THAT(Post(token, "lookup").body, HasSubstr(token));
}

TEST_F(TokenLookupApi, ShowsOtherTokensByTokenAndByAccessor) {
  const std::string token = Made(R"({"policies":["app"],"period":60})");
  EXPECT_THAT(Post(maker_, "lookup", Naming("token", token)).body,
              AllOf(HasSubstr(token), HasSubstr(R"("period":60)")));
  const ApiAnswer by_accessor =
      Post(maker_, "lookup-accessor", Naming("accessor", Who(token)->accessor));
  EXPECT_THAT(by_accessor.body, AllOf(HasSubstr(R"("id":"")"), Not(HasSubstr(token))));
  const ApiAnswer unknown = Post(maker_, "lookup", Naming("token", "hvs.unknown"));
  EXPECT_EQ(unknown.status, 403);
  EXPECT_THAT(unknown.body, HasSubstr("bad token"));
  const ApiAnswer no_accessor = Post(maker_, "lookup-accessor", Naming("accessor", "00"));
  EXPECT_EQ(no_accessor.status, 400);
  EXPECT_THAT(no_accessor.body, HasSubstr("invalid accessor"));
  EXPECT_THAT(Post(maker_, "lookup-accessor").body, HasSubstr("missing accessor"));
}

TEST_F(TokenLookupApi, ListsAccessorsForThoseWithSudo) {
  EXPECT_EQ(List(maker_, "accessors").status, 403);
  const ApiAnswer listed = List(admin_, "accessors");
  EXPECT_EQ(listed.status, 200);
  EXPECT_THAT(listed.body, AllOf(HasSubstr(Who(maker_)->accessor), HasSubstr(Who(admin_)->accessor),
                                 HasSubstr(Who(ApiService::kToken)->accessor)));
}

TEST_F(TokenLookupApi, CountsTheUsesOfALimitedToken) {
  const std::string token = Made(R"({"policies":["maker"],"num_uses":3})");
  EXPECT_THAT(Post(maker_, "lookup", Naming("token", token)).body, HasSubstr(R"("num_uses":3)"));
  EXPECT_THAT(Get(token, "lookup-self").body, HasSubstr(R"("num_uses":2)"));
  EXPECT_THAT(Get(token, "lookup-self").body, HasSubstr(R"("num_uses":1)"));
  EXPECT_THAT(Get(token, "lookup-self").body, HasSubstr(R"("num_uses":0)"));
  EXPECT_EQ(Get(token, "lookup-self").status, 403);
}

TEST_F(TokenLookupApi, RenewsByItselfByTokenAndByAccessor) {
  const std::string token = Made(R"({"policies":["maker"],"ttl":100})");
  api_.clock.Advance(std::chrono::seconds(50));
  EXPECT_THAT(Post(token, "renew-self", R"({"increment":"200s"})").body,
              AllOf(HasSubstr(token), HasSubstr(R"("lease_duration":200)")));
  EXPECT_THAT(Post(maker_, "renew", R"({"token":")" + token + R"(","increment":300})").body,
              AllOf(HasSubstr(token), HasSubstr(R"("lease_duration":300)")));
  const ApiAnswer by_accessor =
      Post(maker_, "renew-accessor", Naming("accessor", Who(token)->accessor));
  EXPECT_THAT(by_accessor.body, AllOf(HasSubstr(R"("client_token":"")"),
                                      HasSubstr(R"("lease_duration":100)"), Not(HasSubstr(token))));
  EXPECT_THAT(Get(token, "lookup-self").body, HasSubstr(R"("last_renewal_time":1767225650)"));
}

TEST_F(TokenLookupApi, RefusesToRenewWhatCannotBe) {
  const std::string stiff = Made(R"({"policies":["maker"],"renewable":false})");
  EXPECT_THAT(Post(stiff, "renew-self").body, HasSubstr("lease is not renewable"));
  EXPECT_THAT(Post(maker_, "renew", Naming("token", "hvs.unknown")).body,
              HasSubstr("token not found"));
  EXPECT_THAT(Post(maker_, "renew").body, HasSubstr("missing token ID"));
  EXPECT_THAT(Post(maker_, "renew-accessor", Naming("accessor", "ab")).body,
              HasSubstr("invalid accessor"));
  EXPECT_THAT(Root("renew-self").body, HasSubstr(R"("lease_duration":0)"));
}

TEST_F(TokenLookupApi, RevokesByItselfByTokenAndByAccessor) {
  const std::string first = Made(R"({"policies":["maker"]})");
  const std::string child = ClientToken(Post(first, "create"));
  EXPECT_EQ(Post(first, "revoke-self").status, 204);
  EXPECT_FALSE(IsGood(first));
  EXPECT_FALSE(IsGood(child));
  EXPECT_EQ(Get(child, "lookup-self").status, 403);
  const std::string second = Made(R"({"policies":["app"]})");
  EXPECT_EQ(Post(maker_, "revoke", Naming("token", second)).status, 204);
  EXPECT_FALSE(IsGood(second));
  EXPECT_EQ(Post(maker_, "revoke", Naming("token", second)).status, 204);
  const std::string third = Made(R"({"policies":["app"]})");
  const std::string accessor = Who(third)->accessor;
  EXPECT_EQ(Post(maker_, "revoke-accessor", Naming("accessor", accessor)).status, 204);
  EXPECT_FALSE(IsGood(third));
  EXPECT_EQ(Post(maker_, "revoke-accessor", Naming("accessor", accessor)).status, 400);
  EXPECT_THAT(Post(maker_, "revoke").body, HasSubstr("missing token ID"));
}

TEST_F(TokenLookupApi, RevokeOrphanNeedsSudoAndSparesTheChildren) {
  const std::string parent = Made(R"({"policies":["maker"]})");
  const std::string child = ClientToken(Post(parent, "create"));
  EXPECT_EQ(Post(maker_, "revoke-orphan", Naming("token", parent)).status, 403);
  EXPECT_EQ(Post(admin_, "revoke-orphan", Naming("token", parent)).status, 204);
  EXPECT_FALSE(IsGood(parent));
  EXPECT_TRUE(IsGood(child));
  EXPECT_TRUE(Who(child)->orphan);
}

TEST_F(TokenLookupApi, RevokesASourceByTheMountsName) {
  api_.EnableEveryAuthMethod();
  const auto login = [&](std::string mount, std::string alias, TokenType type) {
    TokenGrant grant;
    grant.policies = {"app"};
    grant.type = type;
    grant.entity_id = "entity";
    grant.alias_mount = api_.identity().mounts().Find(mount)->accessor;
    grant.alias_name = std::move(alias);
    return std::string(AsText(api_.tokens().Issue(grant).value().token.View()));
  };
  const std::string alice = login("userpass", "alice", TokenType::kService);
  const std::string batch = login("userpass", "bob", TokenType::kBatch);
  const std::string other = login("approle", "alice", TokenType::kService);
  EXPECT_EQ(Post(maker_, "revoke-source", R"({"mount":"userpass"})").status, 403);
  EXPECT_EQ(Post(admin_, "revoke-source").status, 400);
  EXPECT_EQ(Post(admin_, "revoke-source", R"({"mount":"nowhere"})").status, 400);
  EXPECT_THAT(Post(admin_, "revoke-source", R"({"mount":"auth/userpass/","alias":"alice"})").body,
              HasSubstr(R"("data":{"revoked":1})"));
  EXPECT_FALSE(IsGood(alice));
  EXPECT_TRUE(IsGood(batch));
  EXPECT_EQ(api_.Post("/v1/sys/leases/revoke-prefix/auth/userpass/login/bob").status, 204);
  EXPECT_FALSE(IsGood(batch));
  EXPECT_TRUE(IsGood(other));
  EXPECT_EQ(api_.Post("/v1/sys/leases/revoke-prefix/auth/approle").status, 204);
  EXPECT_FALSE(IsGood(other));
  EXPECT_EQ(api_.Post("/v1/sys/leases/revoke-prefix/auth/approle/role/x").status, 400);
  EXPECT_EQ(api_.Post("/v1/sys/leases/revoke-prefix/transit").status, 204);
}

TEST_F(TokenLookupApi, TidiesWhatEnded) {
  Made(R"({"policies":["app"],"ttl":60})");
  api_.clock.Advance(std::chrono::seconds(60));
  EXPECT_THAT(Root("tidy").body, HasSubstr(R"("data":{"deleted":1})"));
}

TEST_F(TokenLookupApi, NoAnswerAboutOthersShowsAToken) {
  const std::string token = Made(R"({"policies":["app"]})");
  for (const ApiAnswer& answer :
       {List(admin_, "accessors"), Post(maker_, "lookup", Naming("token", token + "x")),
        Post(maker_, "renew", Naming("token", token + "x")),
        Post(maker_, "revoke", Naming("token", token + "x")),
        Post(maker_, "lookup-accessor", Naming("accessor", token))}) {
    EXPECT_THAT(answer.body, Not(HasSubstr(token)));
  }
}

}  // namespace
}  // namespace kms::testing
