// SPDX-License-Identifier: Apache-2.0
// auth/<jwt mount>/… against transit-api 10.4.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/crypto/key_export.h"
#include "tests/support/api_service.h"
#include "tests/support/jwt_maker.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kConfig = "/v1/auth/jwt/config";
constexpr const char* kApp = "/v1/auth/jwt/role/app";

AsymmetricKey KeyOf(std::size_t which = 0) {
  return TestKey(AsymmetricAlgorithm::kEcdsaP256, which);
}

// As the value of a JSON string.
std::string Quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find_first_of("\"\n", at)) != std::string::npos; at += 2) {
    text.replace(at, 1, text[at] == '\n' ? "\\n" : "\\\"");
  }
  return "\"" + text + "\"";
}

class JwtApi : public ::testing::Test {
 protected:
  JwtApi() {
    api_.EnableEveryAuthMethod();
    const std::string jwks = JwksOf({JwkOf(KeyOf(), WithKeyId("a"))});
    EXPECT_EQ(api_.Post(kConfig, R"({"jwks":)" + Quoted(jwks) +
                                     R"(,"bound_issuer":"https://issuer.example"})")
                  .status,
              204);
    EXPECT_EQ(api_.Post(kApp, R"({"role_type":"jwt","user_claim":"sub","bound_audiences":"kms",)"
                              R"("bound_claims":{"env":["prod","dev"]},"claim_mappings":{"env":)"
                              R"("environment"},"token_policies":"app","token_ttl":"1m"})")
                  .status,
              204);
  }

  std::string Token(const std::string& more = R"(,"env":"prod")", std::size_t which = 0) {
    return GoodToken(KeyOf(which), JwsAlgorithm::kEs256,
                     R"({"iss":"https://issuer.example","aud":["kms"],"sub":"alice","exp":)" +
                         std::to_string(ToUnixSeconds(api_.clock.Now()) + 60) + more + "}",
                     "a");
  }
  ApiAnswer Login(const std::string& jwt, const std::string& role = "app",
                  std::string address = "127.0.0.1") {
    return api_.Call({api::HttpMethod::kPost,
                      "/v1/auth/jwt/login",
                      R"({"role":")" + role + R"(","jwt":")" + jwt + "\"}",
                      {},
                      std::move(address)});
  }

  ApiService api_;
};

TEST_F(JwtApi, ALoginIsAnsweredWithAnAuthObject) {
  const ApiAnswer answer = Login(Token());
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr(R"("metadata":{"environment":"prod","role":"app"})"),
                    HasSubstr(R"("policies":["app","default"])"),
                    HasSubstr(R"("lease_duration":60)"), HasSubstr(R"("token_type":"service")")));
  EXPECT_TRUE(answer.holds_secret);
}

TEST_F(JwtApi, RefusalsHaveTheContractsTexts) {
  const auto refused = [](const ApiAnswer& answer, const std::string& text) {
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(text));
  };
  refused(api_.Call({api::HttpMethod::kPost, "/v1/auth/jwt/login", "{}", {}}), "missing role");
  refused(Login(Token(), "none"), R"(role \"none\" could not be found)");
  refused(Login(Token(), "a/b"), "role could not be found");
  refused(Login(""), "missing token");
  refused(Login("x"), "error validating token: ");
  refused(Login(Token(R"(,"env":"prod")", 1)), "error validating token: no known key");
  refused(Login(Token("")), R"(error validating claims: claim \"env\" is missing)");
  EXPECT_EQ(api_.Post("/v1/auth/jwt/role/open", R"({"user_claim":"mail","bound_subject":"alice"})")
                .status,
            204);
  refused(Login(Token(), "open"), "audience claim found in JWT but no audiences bound to the role");
  EXPECT_EQ(api_.Post("/v1/auth/jwt/role/open", R"({"bound_audiences":"kms"})").status, 204);
  refused(Login(Token(), "open"), R"(claim \"mail\" not found in token)");
}

TEST_F(JwtApi, NoPartOfATokenIsInAnswersOrTheAuditLog) {
  const std::string bad = Token(R"(,"env":"planted")");
  const std::string payload = bad.substr(bad.find('.') + 1, 24);
  EXPECT_THAT(Login(bad).body, AllOf(Not(HasSubstr("planted")), Not(HasSubstr(payload))));
  const std::string signature = bad.substr(bad.rfind('.') + 1);
  EXPECT_THAT(Login(bad).body, Not(HasSubstr(signature)));
  const std::string good = Token();
  EXPECT_EQ(Login(good).status, 200);
  const auto records = api_.audit.records();
  ASSERT_FALSE(records.empty());
  for (const std::string& record : records) {
    EXPECT_THAT(record, AllOf(Not(HasSubstr("planted")), Not(HasSubstr(payload)),
                              Not(HasSubstr(signature)),
                              Not(HasSubstr(good.substr(good.rfind('.') + 1)))));
  }
}

TEST_F(JwtApi, TheDefaultRoleServesLoginsWithoutOne) {
  const std::string jwks = JwksOf({JwkOf(KeyOf(), WithKeyId("a"))});
  EXPECT_EQ(api_.Post(kConfig, R"({"default_role":"App","jwks":)" + Quoted(jwks) + "}").status,
            204);
  EXPECT_EQ(Login(Token(), "").status, 200);
}

TEST_F(JwtApi, NamesOfRolesHaveOneForm) {
  EXPECT_EQ(Login(Token(), "APP").status, 200);
  EXPECT_EQ(Login(Token(), "app ").status, 400);
}

TEST_F(JwtApi, KubernetesClientsUseTheSameShape) {
  EXPECT_EQ(api_.Post("/v1/sys/auth/kubernetes", R"({"type":"kubernetes"})").status, 204);
  EXPECT_EQ(api_.Post("/v1/auth/kubernetes/config",
                      R"({"jwt_validation_pubkeys":[)" +
                          Quoted(ExportPublicKey(KeyOf(), KeyFormat::kPem).value()) + "]}")
                .status,
            204);
  EXPECT_EQ(
      api_.Post("/v1/auth/kubernetes/role/app", R"({"user_claim":"sub","bound_audiences":["kms"]})")
          .status,
      204);
  const ApiAnswer answer = api_.Call({api::HttpMethod::kPost,
                                      "/v1/auth/kubernetes/login",
                                      R"({"role":"app","jwt":")" + Token() + "\"}",
                                      {}});
  EXPECT_EQ(answer.status, 200) << answer.body;
}

TEST_F(JwtApi, ConfigurationIsReadBack) {
  const ApiAnswer answer = api_.Get(kConfig);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr(R"("bound_issuer":"https://issuer.example")"),
                    HasSubstr(R"("jwks_url":"")"), HasSubstr(R"("jwt_supported_algs":[])")));
}

TEST_F(JwtApi, BadConfigurationsAreRefused) {
  for (const char* body : {
           "{}",
           R"({"jwks_url":"https://issuer.example/jwks"})",  // which this server cannot fetch
           R"({"jwks_url":"file:///etc/passwd"})",
           R"({"jwks":"/etc/passwd"})",
           R"({"jwks":"{}"})",
           R"({"jwt_validation_pubkeys":["x"]})",
           R"({"jwt_validation_pubkeys":[1]})",
           R"({"jwks_url":"https://a","oidc_discovery_url":"https://a"})",
       }) {
    EXPECT_EQ(api_.Post(kConfig, body).status, 400) << body;
  }
  EXPECT_EQ(Login(Token()).status, 200);
}

TEST_F(JwtApi, ARoleIsReadListedChangedAndDeleted) {
  EXPECT_EQ(api_.Post(kApp, R"({"bound_claims_type":"glob","clock_skew_leeway":-1,)"
                            R"("expiration_leeway":"2m","forbid_replay":true,)"
                            R"("bound_claims":{"n":7,"b":true,"s":"x"}})")
                .status,
            204);
  const ApiAnswer role = api_.Get(kApp);
  EXPECT_EQ(role.status, 200);
  for (const char* member :
       {R"("role_type":"jwt")", R"("user_claim":"sub")", R"("bound_audiences":["kms"])",
        R"("bound_claims":{"b":true,"n":7,"s":"x"})", R"("bound_claims_type":"glob")",
        R"("claim_mappings":{"env":"environment"})", R"("clock_skew_leeway":-1)",
        R"("expiration_leeway":120)", R"("not_before_leeway":0)", R"("forbid_replay":true)",
        R"("bind_client_certificate":false)", R"("token_ttl":60)", R"("token_policies":["app"])"}) {
    EXPECT_THAT(role.body, HasSubstr(member));
  }
  EXPECT_THAT(api_.List("/v1/auth/jwt/role").body, HasSubstr(R"("keys":["app"])"));
  EXPECT_EQ(api_.Delete(kApp).status, 204);
  EXPECT_EQ(api_.Get(kApp).status, 404);
  EXPECT_EQ(api_.List("/v1/auth/jwt/role").status, 404);
  EXPECT_EQ(Login(Token()).status, 400);
}

TEST_F(JwtApi, BadRolesAreRefusedAndChangeNothing) {
  const std::string before = api_.Get(kApp).body;
  for (const char* body : {
           R"({"role_type":"oidc"})",
           R"({"bound_claims":[]})",
           R"({"bound_claims":{"a":{}}})",
           R"({"bound_claims":{"a":null}})",
           R"({"bound_claims":{"a":1.5}})",
           R"({"bound_claims":{"a":[["x"]]}})",
           R"({"bound_claims":{"a":[]}})",
           R"({"bound_claims_type":"regex"})",
           R"({"claim_mappings":{"a":"role"}})",
           R"({"claim_mappings":{"a":1}})",
           R"({"claim_mappings":"x"})",
           R"({"user_claim":""})",
           R"({"clock_skew_leeway":"x"})",
           R"({"clock_skew_leeway":"-x"})",
           R"({"clock_skew_leeway":86401})",
           R"({"token_policies":"root"})",
           R"({"bound_audiences":[1]})",
           R"({"bound_audiences":[],"bound_claims":{}})",
       }) {
    EXPECT_EQ(api_.Post(kApp, body).status, 400) << body;
  }
  const std::string after = api_.Get(kApp).body;
  EXPECT_EQ(after.substr(after.find("\"data\"")), before.substr(before.find("\"data\"")));
}

TEST_F(JwtApi, AReplayedTokenIsRefusedWhereTheRoleSaysSo) {
  EXPECT_EQ(api_.Post(kApp, R"({"forbid_replay":true})").status, 204);
  const std::string token = Token(R"(,"env":"prod","jti":"1")");
  EXPECT_EQ(Login(token).status, 200);
  EXPECT_THAT(Login(token).body, HasSubstr("used before"));
  EXPECT_THAT(api_.Post("/v1/auth/jwt/tidy").body, HasSubstr(R"("removed":0)"));
}

TEST_F(JwtApi, ATokenBoundToAnAddressIsGoodThereOnly) {
  EXPECT_EQ(api_.Post(kApp, R"({"token_strictly_bind_ip":true})").status, 204);
  const ApiAnswer answer = Login(Token(), "app", "10.0.0.7");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const std::size_t begin = answer.body.find(R"("client_token":")") + 16;
  const std::string token = answer.body.substr(begin, answer.body.find('"', begin) - begin);
  const auto look = [&](const char* address) {
    return api_
        .CallAs(token, {api::HttpMethod::kGet, "/v1/auth/token/lookup-self", "", {}, address})
        .status;
  };
  EXPECT_EQ(look("10.0.0.7"), 200);
  EXPECT_EQ(look("10.0.0.8"), 403);
}

TEST_F(JwtApi, AllTokensOfOneSubjectAreRevokedAtOnce) {
  const ApiAnswer answer = Login(Token());
  const std::size_t begin = answer.body.find(R"("client_token":")") + 16;
  const std::string token = answer.body.substr(begin, answer.body.find('"', begin) - begin);
  const auto look = [&] {
    return api_.CallAs(token, {api::HttpMethod::kGet, "/v1/auth/token/lookup-self", "", {}}).status;
  };
  EXPECT_EQ(look(), 200);
  Identity& identity = api_.identity();
  const AuthMountHandle mount = identity.mounts().Find("jwt");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(identity.tokens()
                .RevokeSource({.mount_accessor = mount->accessor, .alias_name = "alice"})
                .value(),
            1U);
  EXPECT_EQ(look(), 403);
}

TEST_F(JwtApi, A19_AHugeTokenIsRefusedBeforeAnythingIsComputed) {
  const ApiAnswer answer = Login(std::string(std::size_t{1} << 20U, 'A'));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("too large"));
}

}  // namespace
}  // namespace kms::testing
