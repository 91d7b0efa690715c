// SPDX-License-Identifier: Apache-2.0
// sys/hsm and sys/environments/…/hsms and lease: several tokens, as an operator sees and moves
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A service on the token "default" with a second one, "vault-2", that opens nothing yet.
class HsmRoutes : public ::testing::Test {
 protected:
  HsmRoutes() {
    EXPECT_TRUE(api.hsms
                    .Add("vault-2", {.owner = nullptr,
                                     .master_keys = &second,
                                     .resident_keys = &second,
                                     .epochs = &second})
                    .has_value());
  }

  ApiAnswer Join(std::string_view environment, std::string_view hsm = "vault-2") {
    return api.Post("/v1/sys/environments/" + std::string(environment) + "/hsms",
                    R"({"hsm":")" + std::string(hsm) + R"(","order":1,"weight":3})");
  }
  ApiAnswer Leave(std::string_view environment, std::string_view hsm) {
    return api.Delete("/v1/sys/environments/" + std::string(environment) + "/hsms/" +
                      std::string(hsm));
  }
  std::string Lease(std::string_view environment) {
    return api.Get("/v1/sys/environments/" + std::string(environment) + "/lease").body;
  }

  ManualClock second_clock;
  FakeMasterKeyDevice second{std::make_shared<FakeToken>(), &second_clock};
  ApiService api;
};

TEST_F(HsmRoutes, ListNamesEveryTokenAndWhatItOpens) {
  const ApiAnswer answer = api.Get("/v1/sys/hsm");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, AllOf(HasSubstr(R"({"name":"default","state":"ready")"),
                                 HasSubstr(R"({"name":"vault-2","state":"ready")"),
                                 HasSubstr(R"("breaker":"closed","retry_in_ms":null)"),
                                 HasSubstr(R"("environments":[{"name":"sys","order":0,"weight":1)"),
                                 HasSubstr(R"("environments":[]}])")));
}

TEST_F(HsmRoutes, ReadShowsOneAndUnknownNamesAreNotFound) {
  EXPECT_THAT(api.Get("/v1/sys/hsm/vault-2").body, HasSubstr(R"({"name":"vault-2")"));
  EXPECT_EQ(api.Get("/v1/sys/hsm/vault-9").status, 404);
}

TEST_F(HsmRoutes, TheStatusPageKeepsItsMembersAndHasTheGroups) {
  const ApiAnswer answer = api.Get("/v1/sys/hsm/status");
  EXPECT_THAT(answer.body, AllOf(HasSubstr(R"("device":{"state":"ready")"),
                                 HasSubstr(R"("members":[{"hsm":"default")"),
                                 HasSubstr(R"("hsms":[{"name":"default")")));
  EXPECT_THAT(api.Get("/v1/sys/environments/status").body,
              HasSubstr(R"("lease_interval_ms":5000,"lease_grace_ms":60000,"members":[)"));
}

TEST_F(HsmRoutes, ATokenThatJoinedOpensTheEnvironmentAlone) {
  const ApiAnswer sealed_text = api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})");
  const ApiAnswer joined = Join("dev");
  EXPECT_EQ(joined.status, 200) << joined.body;
  EXPECT_THAT(joined.body, HasSubstr(R"("hsm":"vault-2","order":1,"weight":3,"state":"ready")"));
  EXPECT_THAT(api.Get("/v1/sys/hsm/vault-2").body,
              HasSubstr(R"("environments":[{"name":"dev","order":1,"weight":3)"));
  api.device.SetPresent(false);
  EXPECT_EQ(api.Post("/v1/sys/environments/dev/seal").status, 204);
  EXPECT_EQ(api.Post("/v1/sys/environments/dev/unseal").status, 204);
  EXPECT_EQ(
      api.Post("/v1/dev/decrypt/app",
               R"({"ciphertext":")" + TextAfter(sealed_text.body, R"("ciphertext":")") + "\"}")
          .status,
      200);
}

TEST_F(HsmRoutes, SysMayHaveSeveralTokensToo) {
  EXPECT_EQ(Join("sys").status, 200);
  EXPECT_THAT(Lease("sys"), HasSubstr(R"("hsm":"vault-2")"));
}

TEST_F(HsmRoutes, JoiningAgainChangesOrderAndWeight) {
  EXPECT_EQ(Join("dev").status, 200);
  EXPECT_EQ(api.Post("/v1/sys/environments/dev/hsms", R"({"hsm":"vault-2","weight":7})").status,
            200);
  EXPECT_THAT(Lease("dev"), HasSubstr(R"("hsm":"vault-2","order":0,"weight":7)"));
}

TEST_F(HsmRoutes, JoinRefusesWhatIsNotThereOrOutOfRange) {
  EXPECT_EQ(Join("dev", "vault-9").status, 404);
  EXPECT_EQ(Join("nowhere").status, 404);
  EXPECT_THAT(api.Post("/v1/sys/environments/dev/hsms").body, HasSubstr("missing hsm"));
  for (const char* body :
       {R"({"hsm":"vault-2","weight":0})", R"({"hsm":"vault-2","weight":1001})",
        R"({"hsm":"vault-2","order":-1})", R"({"hsm":"vault-2","order":4294967296})"}) {
    EXPECT_EQ(api.Post("/v1/sys/environments/dev/hsms", body).status, 400) << body;
  }
  EXPECT_THAT(Lease("dev"), Not(HasSubstr("vault-2")));
}

TEST_F(HsmRoutes, JoinOfATokenThatIsAwayChangesNothing) {
  second.SetPresent(false);
  EXPECT_EQ(Join("dev").status, 503);
  EXPECT_THAT(Lease("dev"), Not(HasSubstr("vault-2")));
}

TEST_F(HsmRoutes, TheLastTokenThatOpensSomethingStays) {
  const ApiAnswer answer = Leave("dev", "default");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("is the last that opens"));
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", R"({"plaintext":""})").status, 200);
}

TEST_F(HsmRoutes, ATokenIsReplacedOnline) {
  EXPECT_EQ(Join("dev").status, 200);
  EXPECT_EQ(Leave("dev", "default").status, 204);
  EXPECT_THAT(Lease("dev"), AllOf(HasSubstr(R"("hsm":"vault-2")"), Not(HasSubstr("default"))));
  EXPECT_EQ(Leave("dev", "default").status, 404);
  EXPECT_EQ(Leave("dev", "vault-2").status, 400);
}

TEST_F(HsmRoutes, ATokenThatTheConfigurationLostIsStillListed) {
  EXPECT_EQ(Join("dev").status, 200);
  EXPECT_TRUE(api.hsms.Remove("vault-2").has_value());
  EXPECT_THAT(api.Get("/v1/sys/hsm").body,
              HasSubstr(R"({"name":"vault-2","state":"absent","reason":"the configuration)"));
  EXPECT_THAT(api.Get("/v1/sys/hsm/vault-2").body, HasSubstr(R"("environments":[{"name":"dev")"));
}

TEST_F(HsmRoutes, ChangesNeedSudo) {
  const std::string token = api.TokenWith(
      "no-sudo", R"(path "sys/*" { capabilities = ["create", "read", "update", "delete"] })");
  const auto as = [&](api::HttpMethod method, const char* target, const char* body) {
    return api.CallAs(token, {method, target, body, {}}).status;
  };
  EXPECT_EQ(as(api::HttpMethod::kPost, "/v1/sys/environments/dev/hsms", R"({"hsm":"vault-2"})"),
            403);
  EXPECT_EQ(as(api::HttpMethod::kDelete, "/v1/sys/environments/dev/hsms/default", ""), 403);
  EXPECT_EQ(as(api::HttpMethod::kPost, "/v1/sys/hsm/reload", "{}"), 403);
  EXPECT_EQ(as(api::HttpMethod::kGet, "/v1/sys/hsm", ""), 200);
  EXPECT_EQ(as(api::HttpMethod::kGet, "/v1/sys/environments/dev/lease", ""), 200);
}

TEST_F(HsmRoutes, InsideANamespaceTheEnvironmentIsTheOneThatPoliciesJudge) {
  const std::string token = api.TokenWith(
      "elsewhere",
      R"(path "sys/environments/transit/*" { capabilities = ["read", "update", "sudo"] })");
  ApiRequest lease{api::HttpMethod::kGet, "/v1/sys/environments/transit/lease", "", {}};
  EXPECT_EQ(api.CallAs(token, lease).status, 200);
  lease.headers.emplace_back("X-Vault-Namespace", "dev");  // means dev, which it may not see
  EXPECT_EQ(api.CallAs(token, lease).status, 403);
  EXPECT_THAT(api.CallAs(ApiService::kToken, lease).body, HasSubstr(R"("name":"dev")"));
}

// ---- reload -------------------------------------------------------------------------------------

TEST(HsmReload, IsNotOfferedWithoutAConfiguration) {
  ApiService api;
  EXPECT_EQ(api.Post("/v1/sys/hsm/reload").status, 400);
}

TEST(HsmReload, SaysWhatChangedAndHandsOnDryRun) {
  std::vector<bool> asked;
  api::PipelineOptions options;
  options.reload_hsms = [&](bool dry_run) -> Result<api::HsmChanges> {
    asked.push_back(dry_run);
    return api::HsmChanges{.added = {"vault-2"}, .removed = {}, .changed = {"default"}, .restarted = {"vault-3"}};
  };
  ApiService api(std::move(options));
  EXPECT_EQ(WithoutRequestId(api.Post("/v1/sys/hsm/reload", R"({"dry_run":true})").body),
            Envelope(R"({"added":["vault-2"],"removed":[],"changed":["default"],"restarted":["vault-3"],"dry_run":true})",
                     "null", "system"));
  EXPECT_EQ(api.Post("/v1/sys/hsm/reload").status, 200);
  EXPECT_THAT(asked, ElementsAre(true, false));
}

TEST(HsmReload, ARefusalIsTheCallersToMend) {
  api::PipelineOptions options;
  options.reload_hsms = [](bool) -> Result<api::HsmChanges> {
    return FailedPrecondition("HSM old still serves prod");
  };
  ApiService api(std::move(options));
  const ApiAnswer answer = api.Post("/v1/sys/hsm/reload");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("HSM old still serves prod"));
}

// ---- leases and mounts --------------------------------------------------------------------------

TEST_F(HsmRoutes, TheLeaseIsTunedByMountOptions) {
  EXPECT_THAT(Lease("dev"), AllOf(HasSubstr(R"("interval_ms":5000,"grace_ms":60000)"),
                                  HasSubstr(R"("availability_mode":false)")));
  EXPECT_EQ(api.Post("/v1/sys/mounts/dev/tune",
                     R"({"options":{"lease_interval":"1s","lease_grace":"forever"}})")
                .status,
            204);
  EXPECT_THAT(Lease("dev"), AllOf(HasSubstr(R"("interval_ms":1000,"grace_ms":null)"),
                                  HasSubstr(R"("availability_mode":true)")));
  EXPECT_EQ(
      api.Post("/v1/sys/mounts/dev/tune", R"({"options":{"lease_interval":"","lease_grace":""}})")
          .status,
      204);
  EXPECT_THAT(Lease("dev"), HasSubstr(R"("interval_ms":5000,"grace_ms":60000)"));
}

TEST_F(HsmRoutes, LeaseOptionsAreJudgedWhenTheyAreSet) {
  for (const char* options : {R"({"lease_interval":"forever"})", R"({"lease_interval":"1ms"})",
                              R"({"lease_grace":"never"})", R"({"lease_grace":"-1s"})"}) {
    EXPECT_EQ(
        api.Post("/v1/sys/mounts/dev/tune", R"({"options":)" + std::string(options) + "}").status,
        400)
        << options;
    EXPECT_EQ(api.Post("/v1/sys/mounts/new",
                       R"({"type":"transit","options":)" + std::string(options) + "}")
                  .status,
              400)
        << options;
  }
}

TEST_F(HsmRoutes, TheLeaseTellsWhenAndWhyItWasLastSealed) {
  EXPECT_THAT(Lease("dev"), HasSubstr(R"("last_seal":null)"));
  EXPECT_EQ(api.Post("/v1/sys/environments/dev/seal").status, 204);
  EXPECT_THAT(Lease("dev"),
              AllOf(HasSubstr(R"("sealed":true,"reason":"sealed by an operator")"),
                    HasSubstr(R"("last_seal":{"time":)"),
                    HasSubstr(R"("reason":"sealed by an operator","unproven_ms":null)")));
  EXPECT_THAT(Lease("prod"), HasSubstr(R"("last_seal":null)"));
}

TEST_F(HsmRoutes, LeaseOfNoEnvironmentIsNotFound) {
  EXPECT_EQ(api.Get("/v1/sys/environments/nowhere/lease").status, 404);
}

TEST_F(HsmRoutes, AnEnvironmentIsMadeOnTheTokensItNames) {
  EXPECT_EQ(
      api.Post("/v1/sys/mounts/new", R"({"type":"transit","options":{"hsms":"vault-2"}})").status,
      204);
  EXPECT_THAT(Lease("new"), AllOf(HasSubstr(R"("hsm":"vault-2")"), Not(HasSubstr("default"))));
  EXPECT_EQ(
      api.Post("/v1/sys/mounts/both", R"({"type":"transit","options":{"hsms":"default, vault-2"}})")
          .status,
      204);
  EXPECT_THAT(Lease("both"),
              AllOf(HasSubstr(R"("hsm":"default")"), HasSubstr(R"("hsm":"vault-2")")));
  EXPECT_THAT(api.Get("/v1/sys/mounts/new").body, Not(HasSubstr("hsms")));
}

TEST_F(HsmRoutes, TheListOfTokensIsJudged) {
  for (const char* hsms : {"vault-9", "default,default", "default,,vault-2", ","}) {
    const ApiAnswer answer =
        api.Post("/v1/sys/mounts/new",
                 R"({"type":"transit","options":{"hsms":")" + std::string(hsms) + "\"}}");
    EXPECT_GE(answer.status, 400) << hsms;
    EXPECT_LT(answer.status, 500) << hsms << answer.body;
  }
  const ApiAnswer tuned = api.Post("/v1/sys/mounts/dev/tune", R"({"options":{"hsms":"vault-2"}})");
  EXPECT_EQ(tuned.status, 400);
  EXPECT_THAT(tuned.body, HasSubstr("kmsctl hsm add"));
}

TEST_F(HsmRoutes, MetricsTellTokensAndEnvironmentsApart) {
  EXPECT_EQ(Join("dev").status, 200);
  second.SetPresent(false);
  const std::string text = api.Get("/v1/sys/metrics?format=prometheus").body;
  EXPECT_THAT(text, AllOf(HasSubstr(R"(kms_hsm_ready{hsm="default"} 1)"),
                          HasSubstr(R"(kms_hsm_ready{hsm="vault-2"} 0)"),
                          HasSubstr(R"(kms_hsm_state{hsm="vault-2",state="down"} 1)"),
                          HasSubstr(R"(kms_hsm_breaker{hsm="default",state="closed"} 1)"),
                          HasSubstr(R"(kms_hsm_call_seconds{hsm="default",quantile="0.99"})"),
                          HasSubstr(R"(kms_hsm_calls_total{hsm="default",outcome="refused"} 0)")));
  EXPECT_THAT(text, AllOf(HasSubstr(R"(kms_environment_hsms{environment="dev",state="ready"} 2)"),
                          HasSubstr(R"(kms_environment_master_key_version{environment="prod"} 1)"),
                          HasSubstr(R"(kms_environment_lease_grace_seconds{environment="sys"} 60)"),
                          HasSubstr("kms_hsm_alarms_total 0")));
}

}  // namespace
}  // namespace kms::testing
