// SPDX-License-Identifier: Apache-2.0
// sys/… and auth/token/…, namespaces, sealing (transit-api 9, 10.2, 13.1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ApiRequest InNamespace(ApiRequest request, std::string name) {
  request.headers.emplace_back("X-Vault-Namespace", std::move(name));
  return ApiService::WithToken(std::move(request));
}

TEST(Health, SaysThatItServes) {
  ApiService api;
  const ApiAnswer answer = api.Call({api::HttpMethod::kGet, "/v1/sys/health", "", {}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body,
              AllOf(StartsWith(R"({"initialized":true,"sealed":false,"standby":false,)"),
                    HasSubstr(R"("server_time_utc":1767225600)"),
                    HasSubstr(R"("version":"1.19.0+kms0.1.0")")));
}

TEST(Health, TakesStatusOverridesAndIgnoresUnknownOnes) {
  ApiService api;
  EXPECT_EQ(api.Get("/v1/sys/health?activecode=299&haunhealhty=1").status, 299);
  EXPECT_EQ(api.Get("/v1/sys/health?activecode=teapot").status, 400);
  EXPECT_EQ(api.Get("/v1/sys/health?activecode=99").status, 400);
}

TEST(Health, AnswersHeadWithoutABody) {
  ApiService api;
  const ApiAnswer answer = api.Call({api::HttpMethod::kHead, "/v1/sys/health", "", {}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  const ApiAnswer other =
      api.Call(ApiService::WithToken({api::HttpMethod::kHead, "/v1/sys/mounts", "", {}}));
  EXPECT_EQ(other.status, 405);
}

TEST(Health, L8_TurnsRedWhenTheAuditLogFails) {
  ApiService api;
  api.audit.FailWrites();
  api.Get("/v1/dev/keys/app");
  const ApiAnswer answer = api.Get("/v1/sys/health?activecode=200");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr(R"("audit_healthy":false)"));
}

TEST(SealStatus, HasWhatClientsValidate) {
  ApiService api;
  const ApiAnswer answer = api.Call({api::HttpMethod::kGet, "/v1/sys/seal-status", "", {}});
  EXPECT_EQ(answer.status, 200);
  for (const char* member : {R"("type":"pkcs11")", R"("sealed":false)", R"("t":1)", R"("n":1)",
                             R"("progress":0)", R"("nonce":"")", R"("version":"1.19.0)",
                             R"("build_date":)", R"("migration":false)", R"("cluster_id":)",
                             R"("storage_type":)"}) {
    EXPECT_THAT(answer.body, HasSubstr(member));
  }
}

TEST(Leader, And_Init_AreBare) {
  ApiService api;
  EXPECT_THAT(api.Call({api::HttpMethod::kGet, "/v1/sys/leader", "", {}}).body,
              StartsWith(R"({"ha_enabled":false,"is_self":true)"));
  EXPECT_EQ(api.Call({api::HttpMethod::kGet, "/v1/sys/init", "", {}}).body,
            "{\"initialized\":true}\n");
}

TEST(Mounts, ListIsHoisted) {
  ApiService api;
  const ApiAnswer answer = api.Get("/v1/sys/mounts");
  EXPECT_THAT(answer.body, HasSubstr(R"("data":{"dev/":{"type":"transit","description":"")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("mount_type":"system","dev/":{"type":"transit")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("options":{"protected":"true"})"));
}

TEST(Mounts, CreateReadTuneDelete) {
  ApiService api;
  EXPECT_EQ(api.Post("/v1/sys/mounts/team/stage",
                     R"({"type":"transit","description":"d","config":{"max_lease_ttl":"1h"}})")
                .status,
            204);
  const ApiAnswer mount = api.Get("/v1/sys/mounts/team/stage");
  EXPECT_EQ(mount.status, 200);
  EXPECT_THAT(mount.body, HasSubstr(R"("description":"d")"));
  EXPECT_THAT(mount.body, HasSubstr(R"("max_lease_ttl":3600)"));
  EXPECT_EQ(api.Post("/v1/team/stage/keys/app").status, 200);
  EXPECT_EQ(api.Post("/v1/sys/mounts/team/stage/tune", R"({"description":"e"})").status, 204);
  EXPECT_THAT(api.Get("/v1/sys/mounts/team/stage/tune").body, HasSubstr(R"("description":"e")"));
  EXPECT_EQ(api.Delete("/v1/sys/mounts/team/stage").status, 204);
  EXPECT_EQ(api.Delete("/v1/sys/mounts/team/stage").status, 204);
  EXPECT_EQ(api.Post("/v1/team/stage/keys/app").status, 404);
}

TEST(Mounts, UserErrorsHaveTheirTexts) {
  ApiService api;
  const ApiAnswer used = api.Post("/v1/sys/mounts/dev", R"({"type":"transit"})");
  EXPECT_EQ(used.status, 400);
  EXPECT_EQ(used.body, Errors("path is already in use at dev/"));
  EXPECT_EQ(api.Post("/v1/sys/mounts/x", "{}").body,
            Errors("backend type must be specified as a string"));
  EXPECT_EQ(api.Post("/v1/sys/mounts/x", R"({"type":"kv"})").status, 400);
  EXPECT_EQ(api.Post("/v1/sys/mounts/sys", R"({"type":"transit"})").status, 400);
  EXPECT_EQ(api.Post("/v1/sys/mounts/x", R"({"type":"transit","options":{"protected":"maybe"}})")
                .status,
            400);
  EXPECT_EQ(api.Get("/v1/sys/mounts/none").body, Errors("No secret engine mount at none/"));
}

TEST(Mounts, AProtectedOneIsTunedBeforeItIsDeleted) {
  ApiService api;
  const ApiAnswer refused = api.Delete("/v1/sys/mounts/prod");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("first tune it"));
  EXPECT_EQ(
      api.Post("/v1/sys/mounts/prod/tune", R"({"options":{"protected":"false"}})").status, 204);
  EXPECT_EQ(api.Delete("/v1/sys/mounts/prod").status, 204);
}

TEST(Mounts, H6_AnHsmThatIsAwayIs503) {
  ApiService api;
  api.device.SetPresent(false);
  const ApiAnswer answer = api.Post("/v1/sys/mounts/fresh", R"({"type":"transit"})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("sys/hsm/status"));
  EXPECT_EQ(api.Post("/v1/dev/keys/app").status, 200);
}

TEST(UiMounts, NameTheMountOfAPath) {
  ApiService api;
  EXPECT_THAT(api.Get("/v1/sys/internal/ui/mounts/dev/keys/app").body,
              HasSubstr(R"("path":"dev/")"));
  const ApiAnswer none = api.Get("/v1/sys/internal/ui/mounts/none/x");
  EXPECT_EQ(none.status, 403);
  EXPECT_THAT(none.body, HasSubstr("preflight capability check returned 403"));
  EXPECT_EQ(WithoutRequestId(
                api.Call({api::HttpMethod::kGet, "/v1/sys/internal/ui/mounts", "", {}}).body),
            Envelope(R"({"auth":{},"secret":{}})", "null", "system"));
}

TEST(Namespace, ByHeaderAndByPathMeanTheEnvironment) {
  ApiService api;
  EXPECT_EQ(api.Call(InNamespace({api::HttpMethod::kPost, "/v1/transit/keys/a", "{}", {}}, "prod/"))
                .status,
            200);
  EXPECT_EQ(api.Get("/v1/prod/keys/a").status, 200);
  EXPECT_EQ(api.Get("/v1/prod/transit/keys/a").status, 200);
  EXPECT_EQ(api.Get("/v1/transit/keys/a").status, 404);
  EXPECT_EQ(api.Call(InNamespace({api::HttpMethod::kGet, "/v1/transit/keys/a", "", {}}, "root"))
                .status,
            404);
}

TEST(Namespace, IsEchoedAndUnknownOnesAre404) {
  ApiService api;
  const ApiAnswer known =
      api.Call(InNamespace({api::HttpMethod::kGet, "/v1/sys/mounts", "", {}}, "prod"));
  ASSERT_EQ(known.headers.size(), 1U);
  EXPECT_EQ(known.headers[0].second, "prod");
  EXPECT_THAT(known.body, HasSubstr(R"("data":{"transit/":{)"));
  EXPECT_THAT(known.body, Not(HasSubstr("dev/")));
  const ApiAnswer unknown =
      api.Call(InNamespace({api::HttpMethod::kGet, "/v1/transit/keys/a", "", {}}, "nope"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body, Errors("namespace not found"));
}

TEST(Namespace, ALiteralMountOfThatNameWins) {
  ApiService api;
  // Environments may not nest, so the literal one is made where no environment has its prefix.
  ASSERT_EQ(api.Post("/v1/sys/mounts/team/transit", R"({"type":"transit"})").status, 204);
  EXPECT_EQ(api.Post("/v1/team/transit/keys/a").status, 200);
  EXPECT_EQ(api.Call(InNamespace({api::HttpMethod::kGet, "/v1/transit/keys/a", "", {}}, "team"))
                .status,
            200);
}

TEST(Routing, AnswersTheContractsTexts) {
  ApiService api;
  EXPECT_EQ(api.Get("/v1/x/y").body,
            Errors("no handler for route \"x/y\". route entry not found."));
  EXPECT_EQ(api.Get("/v2/x").status, 404);
  EXPECT_EQ(api.Get("/v2/x").body, "{\"errors\":[]}\n");
  EXPECT_EQ(api.Get("/v1/dev/keys?list=maybe").status, 400);
  EXPECT_EQ(api.Get("/v1/dev/keys?list=maybe").body, "{\"errors\":[]}\n");
  EXPECT_EQ(api.Delete("/v1/dev/encrypt/app").status, 405);
}

TEST(Wrapping, IsRefusedRatherThanForgotten) {
  ApiService api;
  ApiRequest request{api::HttpMethod::kPost, "/v1/dev/keys/app", "{}", {}};
  request.headers.emplace_back("X-Vault-Wrap-TTL", "-1");
  const ApiAnswer answer = api.Call(ApiService::WithToken(request));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("error parsing X-Vault-Wrap-TTL header: "));
  EXPECT_EQ(api.Get("/v1/dev/keys/app").status, 404);
}

TEST(Seal, ClosesOneEnvironmentOnly) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/prod/keys/app");
  api.environments().Find("dev")->Seal("by the test");
  const ApiRequest encrypt = ApiService::WithToken(
      {api::HttpMethod::kPost, "/v1/dev/encrypt/app", R"({"plaintext":""})", {}});
  const ApiAnswer sealed = api.CallOnLoop(encrypt);
  EXPECT_EQ(sealed.status, 503);
  EXPECT_EQ(sealed.body, Errors("Vault is sealed"));
  EXPECT_EQ(api.Post("/v1/prod/encrypt/app", R"({"plaintext":""})").status, 200);
  EXPECT_THAT(api.Get("/v1/sys/environments/status").body, HasSubstr("by the test"));
  EXPECT_EQ(api.Get("/v1/sys/health").status, 200);
}

TEST(StoreTrouble, D4_ReadsFromMemoryGoOnAndWritesAre503) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  // The first encryption under a version leases counts for many more from the store.
  const ApiAnswer sealed = api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})");
  api.store.FailEverything();
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", R"({"plaintext":""})").status, 200);
  EXPECT_EQ(api.Post("/v1/dev/decrypt/app", R"({"ciphertext":")" +
                                                TextAfter(sealed.body, R"("ciphertext":")") + "\"}")
                .status,
            200);
  EXPECT_EQ(api.Post("/v1/dev/keys/app/rotate").status, 503);
  EXPECT_EQ(api.Post("/v1/dev/encrypt/cold", R"({"plaintext":""})").status, 503);
  api.store.Heal();
  EXPECT_EQ(api.Post("/v1/dev/keys/app/rotate").status, 200);
}

TEST(HsmStatus, ShowsDeviceAndEnvironments) {
  ApiService api;
  const ApiAnswer answer = api.Get("/v1/sys/hsm/status");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, AllOf(HasSubstr(R"("device":{"state":"ready")"),
                                 HasSubstr(R"({"name":"dev","sealed":false)"),
                                 HasSubstr(R"("usable_mechanisms":[")")));
  api.device.SetPresent(false);
  EXPECT_THAT(api.Get("/v1/sys/hsm/status").body, HasSubstr(R"("state":"down")"));
}

TEST(HsmStatus, SaysWhereTheWrappingKeyIs) {
  ApiService api;
  EXPECT_THAT(api.Get("/v1/sys/hsm/status").body, Not(HasSubstr(R"("wrapping_key":")")));
  EXPECT_EQ(api.Get("/v1/dev/wrapping_key").status, 200);
  EXPECT_THAT(api.Get("/v1/sys/hsm/status").body, HasSubstr(R"("wrapping_key":"hsm")"));
}

TEST(Metrics, CountRoutesAndStates) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer = api.Get("/v1/sys/metrics?format=prometheus");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.content_type, StartsWith("text/plain"));
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr(R"(kms_requests_total{route="update keys/{name}",status="2xx"} 1)"),
                    HasSubstr("kms_audit_healthy 1"),
                    HasSubstr(R"(kms_hsm_ready{hsm="default"} 1)"),
                    HasSubstr(R"(kms_environment_sealed{environment="dev"} 0)")));
  EXPECT_EQ(api.Get("/v1/sys/metrics").status, 400);
}

TEST(TokenSelf, LookupAndRenewAnswerForTheRootToken) {
  ApiService api;
  const ApiAnswer found = api.Get("/v1/auth/token/lookup-self");
  EXPECT_EQ(found.status, 200);
  EXPECT_TRUE(found.holds_secret);
  EXPECT_THAT(found.body, AllOf(HasSubstr(R"("policies":["root"])"), HasSubstr(R"("ttl":0)"),
                                HasSubstr(R"("expire_time":null)")));
  const ApiAnswer renewed = api.Post("/v1/auth/token/renew-self", R"({"increment":3600})");
  EXPECT_EQ(renewed.status, 200);
  EXPECT_THAT(renewed.body, AllOf(HasSubstr(R"("data":null)"), HasSubstr(R"("auth":{"client_token")")));
}

TEST(Mounts, TuneRefusesWhatCreatingRefuses) {
  ApiService api;
  const std::string century = R"({"max_lease_ttl":"40000d"})";
  EXPECT_EQ(api.Post("/v1/sys/mounts/new", R"({"type":"transit","config":)" + century + "}").status,
            400);
  const ApiAnswer tuned = api.Post("/v1/sys/mounts/dev/tune", century);
  EXPECT_EQ(tuned.status, 400);
  EXPECT_THAT(tuned.body, HasSubstr("unable to parse max_lease_ttl as a duration"));
  const std::string essay = R"("description":")" + std::string(5000, 'x') + "\"";
  EXPECT_EQ(api.Post("/v1/sys/mounts/new", R"({"type":"transit",)" + essay + "}").status, 400);
  EXPECT_EQ(api.Post("/v1/sys/mounts/dev/tune", "{" + essay + "}").status, 400);
}

}  // namespace
}  // namespace kms::testing
