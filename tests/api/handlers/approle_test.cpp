// SPDX-License-Identifier: Apache-2.0
// auth/<approle mount>/… against transit-api 10.3.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRole = "/v1/auth/approle/role/app";

class AppRoleApi : public ::testing::Test {
 protected:
  AppRoleApi() {
    api_.EnableEveryAuthMethod();
    EXPECT_EQ(api_.Post(kRole, R"({"token_policies":"app,web","token_ttl":"1h"})").status, 204);
  }

  std::string RoleId(const std::string& role = kRole) {
    return TextAfter(api_.Get(role + "/role-id").body, R"("role_id":")");
  }
  std::string SecretId(std::string body = "{}") {
    const ApiAnswer answer = api_.Post(std::string(kRole) + "/secret-id", std::move(body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(answer.holds_secret);
    accessor_ = TextAfter(answer.body, R"("secret_id_accessor":")");
    return TextAfter(answer.body, R"("secret_id":")");
  }
  ApiAnswer Login(const std::string& role_id, const std::string& secret_id,
                  std::string address = "127.0.0.1") {
    return api_.Call({api::HttpMethod::kPost,
                      "/v1/auth/approle/login",
                      R"({"role_id":")" + role_id + R"(","secret_id":")" + secret_id + "\"}",
                      {},
                      std::move(address)});
  }
  // The data of an answer.
  static std::string DataOf(const ApiAnswer& answer) {
    const std::size_t begin = answer.body.find(R"("data":)") + 7;
    return answer.body.substr(begin, answer.body.find(R"(,"wrap_info")") - begin);
  }

  ApiService api_;
  std::string accessor_;
};

TEST_F(AppRoleApi, LogsInAndTheTokenWorks) {
  const ApiAnswer answer = Login(RoleId(), SecretId(R"({"metadata":"{\"team\":\"blue\"}"})"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.holds_secret);
  EXPECT_THAT(
      answer.body,
      AllOf(HasSubstr(R"("data":null)"), HasSubstr(R"("token_policies":["app","default","web"])"),
            HasSubstr(R"("metadata":{"role_name":"app","team":"blue"})"),
            HasSubstr(R"("lease_duration":3600)"), HasSubstr(R"("token_type":"service")")));
  const std::string token = TextAfter(answer.body, R"("client_token":")");
  const ApiAnswer self = api_.Call(
      ApiService::WithToken({api::HttpMethod::kGet, "/v1/auth/token/lookup-self", "", {}}, token));
  EXPECT_EQ(self.status, 200);
  EXPECT_THAT(self.body, HasSubstr(R"("path":"auth/approle/login")"));
}

TEST_F(AppRoleApi, AnswersFailedLoginsWith400AndOneText) {
  const std::string secret_id = SecretId();
  const std::string wrong = Errors("invalid role or secret ID");
  for (const auto& [role_id, secret] :
       {std::pair{RoleId(), std::string("nothing")}, std::pair{std::string("nobody"), secret_id},
        std::pair{std::string("no body"), secret_id}}) {
    const ApiAnswer answer = Login(role_id, secret);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.body, wrong);
  }
  EXPECT_EQ(Login("", secret_id).body, Errors("missing role_id"));
  EXPECT_EQ(Login(RoleId(), "").body, Errors("missing secret_id"));
  EXPECT_EQ(Login(RoleId(), "").status, 400);
}

TEST_F(AppRoleApi, U22_FailuresCountAgainstTheRoleId) {
  constexpr const char* kAddress = "198.51.100.7";
  const std::string role_id = RoleId();
  const std::string secret_id = SecretId();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Login(role_id, "guess", kAddress).status, 400);
  }
  EXPECT_EQ(Login(role_id, secret_id, kAddress).status, 429);
  EXPECT_EQ(Login(role_id, secret_id, "203.0.113.9").status, 200) << "others are not locked out";
}

TEST_F(AppRoleApi, NeitherAnswersNorAuditHoldTheSecretId) {
  const std::string secret_id = SecretId();
  EXPECT_THAT(Login("nobody", secret_id).body, Not(HasSubstr(secret_id)));
  Login(RoleId(), secret_id);
  api_.Post(std::string(kRole) + "/secret-id/lookup", R"({"secret_id":")" + secret_id + "\"}");
  api_.Post(std::string(kRole) + "/secret-id/destroy", R"({"secret_id":")" + secret_id + "\"}");
  for (const std::string& record : api_.audit.records()) {
    EXPECT_THAT(record, Not(HasSubstr(secret_id)));
  }
}

TEST_F(AppRoleApi, ReadsARoleAsTheContractHasIt) {
  ASSERT_EQ(api_.Post("/v1/auth/approle/role/full",
                      R"({"bind_secret_id":true,"secret_id_bound_cidrs":["10.0.0.0/8"],)"
                      R"("secret_id_num_uses":"5","secret_id_ttl":"10m","token_ttl":60,)"
                      R"("token_max_ttl":"2m","policies":["b","a"],"period":"30s",)"
                      R"("token_bound_cidrs":"10.0.0.0/16","token_num_uses":3})")
                .status,
            204);
  EXPECT_EQ(DataOf(api_.Get("/v1/auth/approle/role/full")),
            R"({"bind_secret_id":true,"local_secret_ids":false,)"
            R"("secret_id_bound_cidrs":["10.0.0.0/8"],"secret_id_num_uses":5,"secret_id_ttl":600,)"
            R"("token_bound_cidrs":["10.0.0.0/16"],"token_explicit_max_ttl":0,)"
            R"("token_max_ttl":120,"token_no_default_policy":false,"token_num_uses":3,)"
            R"("token_period":30,"token_policies":["a","b"],"token_strictly_bind_ip":false,)"
            R"("token_ttl":60,"token_type":"default"})");
}

TEST_F(AppRoleApi, ListsAndDeletesRoles) {
  api_.Post("/v1/auth/approle/role/Other");
  EXPECT_EQ(DataOf(api_.List("/v1/auth/approle/role")), R"({"keys":["app","other"]})");
  EXPECT_EQ(DataOf(api_.Get("/v1/auth/approle/role?list=true")), R"({"keys":["app","other"]})");
  EXPECT_EQ(api_.Delete(kRole).status, 204);
  EXPECT_EQ(api_.Get(kRole).status, 404);
  EXPECT_EQ(api_.Get(std::string(kRole) + "/role-id").status, 404);
  EXPECT_EQ(api_.Delete(kRole).status, 204);
}

TEST_F(AppRoleApi, U6_NamesOfRolesHaveOneForm) {
  EXPECT_EQ(api_.Get("/v1/auth/approle/role/APP").status, 200);
  for (const char* bad : {"a b", "a\t", "-a", "a.", "\xc3\xa4"}) {
    EXPECT_EQ(api_.Post("/v1/auth/approle/role/" + std::string(bad)).status, 400) << bad;
  }
}

TEST_F(AppRoleApi, RefusesRolesThatNothingHolds) {
  const ApiAnswer answer = api_.Post("/v1/auth/approle/role/open", R"({"bind_secret_id":false})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, Errors("at least one constraint should be enabled on the role"));
}

TEST_F(AppRoleApi, RolesCannotGrantRoot) {
  EXPECT_EQ(api_.Post(kRole, R"({"token_policies":"Root"})").status, 400);
  EXPECT_EQ(api_.Post(std::string(kRole) + "/policies", R"({"token_policies":"root"})").status,
            400);
}

TEST_F(AppRoleApi, ARoleIdCanBeChosen) {
  EXPECT_EQ(api_.Post(std::string(kRole) + "/role-id", R"({"role_id":"orders"})").status, 204);
  EXPECT_EQ(RoleId(), "orders");
  EXPECT_EQ(api_.Post(std::string(kRole) + "/role-id").body, Errors("missing role_id"));
  EXPECT_EQ(api_.Post("/v1/auth/approle/role/none/role-id", R"({"role_id":"x"})").status, 404);
  EXPECT_EQ(api_.Post("/v1/auth/approle/role/other", R"({"role_id":"orders"})").body,
            Errors("role_id already in use"));
}

TEST_F(AppRoleApi, ASecretIdIsShownOnceAndLookedUpLater) {
  const std::string secret_id =
      SecretId(R"({"metadata":"{\"a\":\"b\"}","cidr_list":"10.0.0.0/8","num_uses":2,"ttl":"1m"})");
  const std::string described =
      R"({"cidr_list":["10.0.0.0/8"],"creation_time":"2026-01-01T00:00:00.000000000Z",)"
      R"("expiration_time":"2026-01-01T00:01:00.000000000Z",)"
      R"("last_updated_time":"2026-01-01T00:00:00.000000000Z","metadata":{"a":"b"},)"
      R"("secret_id_accessor":")" +
      accessor_ + R"(","secret_id_num_uses":2,"secret_id_ttl":60,"token_bound_cidrs":[]})";
  const std::string role = kRole;
  EXPECT_EQ(DataOf(api_.Post(role + "/secret-id/lookup", R"({"secret_id":")" + secret_id + "\"}")),
            described);
  EXPECT_EQ(DataOf(api_.Post(role + "/secret-id-accessor/lookup",
                             R"({"secret_id_accessor":")" + accessor_ + "\"}")),
            described);
  EXPECT_EQ(DataOf(api_.List(role + "/secret-id")), R"({"keys":[")" + accessor_ + "\"]}");
  EXPECT_EQ(api_.Post(role + "/secret-id/lookup", R"({"secret_id":"unknown"})").status, 204);
  EXPECT_EQ(api_.Post(role + "/secret-id-accessor/lookup", R"({"secret_id_accessor":"x"})").status,
            404);
}

TEST_F(AppRoleApi, MetadataMustBeAJsonObjectOfStrings) {
  for (const char* bad : {R"({"metadata":"[1]"})", R"({"metadata":"{\"a\":1}"})",
                          R"({"metadata":"secret-looking text"})", R"({"metadata":"{"})",
                          R"({"metadata":"{\"a\":{\"b\":\"c\"}}"})"}) {
    const ApiAnswer answer = api_.Post(std::string(kRole) + "/secret-id", bad);
    EXPECT_EQ(answer.status, 400) << bad;
    EXPECT_THAT(answer.body, Not(HasSubstr("secret-looking"))) << bad;
  }
  SecretId(R"({"metadata":""})");
  SecretId(R"({"metadata":"{}"})");
}

TEST_F(AppRoleApi, ASecretIdOfTheCallersChoice) {
  const ApiAnswer answer =
      api_.Post(std::string(kRole) + "/custom-secret-id", R"({"secret_id":"my own"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.holds_secret);
  EXPECT_EQ(Login(RoleId(), "my own").status, 200);
  EXPECT_EQ(api_.Post(std::string(kRole) + "/custom-secret-id").body, Errors("missing secret_id"));
  EXPECT_EQ(api_.Post(std::string(kRole) + "/custom-secret-id", R"({"secret_id":"my own"})").body,
            Errors("SecretID is already registered"));
}

// CVE-2023-24999.
TEST_F(AppRoleApi, DestroyingByAccessorBelongsToTheRole) {
  const std::string secret_id = SecretId();
  const std::string body = R"({"secret_id_accessor":")" + accessor_ + "\"}";
  api_.Post("/v1/auth/approle/role/other");
  EXPECT_EQ(api_.Post("/v1/auth/approle/role/other/secret-id-accessor/destroy", body).status, 404);
  EXPECT_EQ(Login(RoleId(), secret_id).status, 200);
  EXPECT_EQ(api_.Post(std::string(kRole) + "/secret-id-accessor/destroy", body).status, 204);
  EXPECT_EQ(Login(RoleId(), secret_id).status, 400);
}

TEST_F(AppRoleApi, DestroyTakesBothVerbs) {
  const std::string role = kRole;
  const std::string first = SecretId();
  EXPECT_EQ(api_.Post(role + "/secret-id/destroy", R"({"secret_id":")" + first + "\"}").status,
            204);
  EXPECT_EQ(Login(RoleId(), first).status, 400);
  const std::string second = SecretId();
  EXPECT_EQ(api_.Delete(role + "/secret-id/destroy?secret_id=" + second).status, 204);
  EXPECT_EQ(Login(RoleId(), second).status, 400);
}

TEST_F(AppRoleApi, AnAddressOutsideOfTheSecretIdsBlocksIsNamed) {
  const std::string secret_id = SecretId(R"({"cidr_list":["10.0.0.0/8"]})");
  const ApiAnswer answer = Login(RoleId(), secret_id, "192.0.2.1");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr(R"(source address \"192.0.2.1\" unauthorized by CIDR)"));
  EXPECT_EQ(Login(RoleId(), secret_id, "10.2.3.4").status, 200);
}

TEST_F(AppRoleApi, EverySettingIsReadWrittenAndReset) {
  struct Row {
    const char* segment;
    const char* body;
    const char* written;
    const char* reset;
  };
  const Row rows[] = {
      {"policies", R"({"token_policies":["x"]})", R"({"token_policies":["x"]})",
       R"({"token_policies":[]})"},
      {"policies", R"({"policies":"y"})", R"({"token_policies":["y"]})",
       R"({"token_policies":[]})"},
      {"secret-id-num-uses", R"({"secret_id_num_uses":4})", R"({"secret_id_num_uses":4})",
       R"({"secret_id_num_uses":0})"},
      {"secret-id-ttl", R"({"secret_id_ttl":"5m"})", R"({"secret_id_ttl":300})",
       R"({"secret_id_ttl":0})"},
      {"token-ttl", R"({"token_ttl":"5m"})", R"({"token_ttl":300})", R"({"token_ttl":0})"},
      {"token-max-ttl", R"({"token_max_ttl":"5m"})", R"({"token_max_ttl":300})",
       R"({"token_max_ttl":0})"},
      {"token-num-uses", R"({"token_num_uses":7})", R"({"token_num_uses":7})",
       R"({"token_num_uses":0})"},
      {"token-bound-cidrs", R"({"token_bound_cidrs":["10.0.0.0/8"]})",
       R"({"token_bound_cidrs":["10.0.0.0/8"]})", R"({"token_bound_cidrs":[]})"},
      {"secret-id-bound-cidrs", R"({"secret_id_bound_cidrs":"10.0.0.0/8"})",
       R"({"secret_id_bound_cidrs":["10.0.0.0/8"]})", R"({"secret_id_bound_cidrs":[]})"},
      {"bound-cidr-list", R"({"bound_cidr_list":"10.0.0.0/8"})",
       R"({"bound_cidr_list":["10.0.0.0/8"]})", R"({"bound_cidr_list":[]})"},
      {"period", R"({"token_period":"5m"})", R"({"token_period":300})", R"({"token_period":0})"},
      {"period", R"({"period":60})", R"({"token_period":60})", R"({"token_period":0})"},
  };
  for (const Row& row : rows) {
    const std::string path = "/v1/auth/approle/role/empty/" + std::string(row.segment);
    api_.Post("/v1/auth/approle/role/empty");
    EXPECT_EQ(api_.Post(path, row.body).status, 204) << path;
    EXPECT_EQ(DataOf(api_.Get(path)), row.written) << path;
    EXPECT_EQ(api_.Delete(path).status, 204) << path;
    EXPECT_EQ(DataOf(api_.Get(path)), row.reset) << path;
    const std::string nobody = "/v1/auth/approle/role/nobody/" + std::string(row.segment);
    EXPECT_EQ(api_.Get(nobody).status, 404) << path;
    EXPECT_EQ(api_.Post(nobody, row.body).status, 404) << path;
    EXPECT_EQ(api_.Delete(nobody).status, 404) << path;
    const ApiAnswer nothing = api_.Post(path);
    EXPECT_EQ(nothing.status, 400) << path;
    EXPECT_THAT(nothing.body, HasSubstr("missing ")) << path;
  }
}

TEST_F(AppRoleApi, BindSecretIdGoesOnlyWhereAnotherConstraintHolds) {
  const std::string path = std::string(kRole) + "/bind-secret-id";
  EXPECT_EQ(api_.Post(path, R"({"bind_secret_id":false})").status, 400);
  api_.Post(kRole, R"({"token_bound_cidrs":"127.0.0.0/8"})");
  EXPECT_EQ(api_.Post(path, R"({"bind_secret_id":false})").status, 204);
  EXPECT_EQ(Login(RoleId(), "").status, 200);
  EXPECT_EQ(Login(RoleId(), "", "192.0.2.1").status, 400);
  EXPECT_EQ(api_.Delete(path).status, 204);
  EXPECT_EQ(DataOf(api_.Get(path)), R"({"bind_secret_id":true})");
  EXPECT_EQ(DataOf(api_.Get(std::string(kRole) + "/local-secret-ids")),
            R"({"local_secret_ids":false})");
  EXPECT_EQ(api_.Post(std::string(kRole) + "/local-secret-ids").status, 405);
}

// A17: leave to write one setting is not leave to write another.
TEST_F(AppRoleApi, A17_ASettingsRouteWritesNothingElse) {
  EXPECT_EQ(api_.Post(std::string(kRole) + "/token-ttl",
                      R"({"token_ttl":60,"token_policies":["admin"],"policies":["admin"],)"
                      R"("secret_id_num_uses":9,"role_id":"stolen","bind_secret_id":false})")
                .status,
            204);
  EXPECT_THAT(api_.Get(kRole).body,
              AllOf(HasSubstr(R"("token_policies":["app","web"])"), HasSubstr(R"("token_ttl":60)"),
                    HasSubstr(R"("secret_id_num_uses":0)"), HasSubstr(R"("bind_secret_id":true)")));
  EXPECT_NE(RoleId(), "stolen");
}

TEST_F(AppRoleApi, TidyClearsWhatExpired) {
  SecretId(R"({"ttl":1})");
  api_.clock.Advance(std::chrono::seconds(2));
  EXPECT_EQ(api_.Post("/v1/auth/approle/tidy/secret-id").status, 204);
  EXPECT_EQ(api_.List(std::string(kRole) + "/secret-id").status, 404);
}

TEST_F(AppRoleApi, ASecretIdIsDeliveredWrapped) {
  ApiRequest request =
      ApiService::WithToken({api::HttpMethod::kPost, std::string(kRole) + "/secret-id", "{}", {}});
  request.headers.emplace_back("X-Vault-Wrap-TTL", "60s");
  const ApiAnswer wrapped = api_.Call(request);
  ASSERT_EQ(wrapped.status, 200) << wrapped.body;
  EXPECT_THAT(wrapped.body, AllOf(HasSubstr(R"("data":null)"), HasSubstr(R"("wrap_info":{)"),
                                  Not(HasSubstr("\"secret_id\""))));
  const std::string token = TextAfter(wrapped.body, R"("token":")");
  const ApiAnswer unwrapped = api_.Call(
      ApiService::WithToken({api::HttpMethod::kPost, "/v1/sys/wrapping/unwrap", "{}", {}}, token));
  const std::string secret_id = TextAfter(unwrapped.body, R"("secret_id":")");
  EXPECT_EQ(Login(RoleId(), secret_id).status, 200);
}

}  // namespace
}  // namespace kms::testing
