// SPDX-License-Identifier: Apache-2.0
// Who is answered: a matrix made from the route table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/route_requests.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

ApiRequest With(ApiRequest request, std::string name, std::string value) {
  request.headers.emplace_back(std::move(name), std::move(value));
  return request;
}

std::vector<ApiRequest> WithBadTokens(const ApiRequest& request) {
  return {
      request,
      With(request, "X-Vault-Token", ""),
      With(request, "X-Vault-Token", "wrong"),
      With(request, "X-Vault-Token", std::string(ApiService::kToken) + " "),
      With(request, "X-Vault-Token", std::string(20'000, 'a')),
      With(request, "Authorization", std::string(ApiService::kToken)),
      With(request, "Authorization", "bearer " + std::string(ApiService::kToken)),
      With(request, "Authorization", "Basic cm9vdDpyb290"),
      // X-Vault-Token wins, so a good bearer does not rescue a bad one.
      With(With(request, "X-Vault-Token", "wrong"), "Authorization",
           "Bearer " + std::string(ApiService::kToken)),
  };
}

TEST(Access, U1_OnlyFlaggedRoutesAnswerWithoutAGoodToken) {
  ApiService api;
  for (const api::Route& route : api::RouteTable()) {
    for (const ApiRequest& request : WithBadTokens(RequestOf(route))) {
      const auto before = api.store.Contents().size();
      const ApiAnswer answer = api.CallOnLoop(request);
      if (route.unauthenticated) {
        EXPECT_EQ(answer.status, 200) << route.pattern;
        continue;
      }
      if (route.login) {  // a token is what it gives, to whoever proves who they are
        EXPECT_GE(answer.status, 400) << route.pattern;
        EXPECT_EQ(api.store.Contents().size(), before) << route.pattern;
        continue;
      }
      EXPECT_EQ(answer.status, 403) << route.pattern;
      EXPECT_EQ(answer.body, Errors("permission denied")) << route.pattern;
      EXPECT_EQ(api.store.Contents().size(), before) << route.pattern;
    }
  }
}

TEST(Access, StrangersLearnNothingAboutWhatExists) {
  ApiService api;
  for (const char* target : {"/v1/dev/keys/none", "/v1/nowhere/keys/a", "/v1/sys/secret-route",
                             "/v1/dev/unknown", "/other"}) {
    const ApiAnswer answer = api.Call({api::HttpMethod::kGet, target, "", {}});
    EXPECT_EQ(answer.status, 403) << target;
    EXPECT_EQ(answer.body, Errors("permission denied")) << target;
  }
}

// What changes the service as a whole is for nobody without a token, whether it is offered or not.
TEST(Access, U23_NothingSensitiveAnswersWithoutALogin) {
  ApiService api;
  for (const char* target :
       {"/v1/sys/seal", "/v1/sys/unseal", "/v1/sys/init", "/v1/sys/step-down", "/v1/sys/rekey/init",
        "/v1/sys/rekey/update", "/v1/sys/generate-root/attempt", "/v1/sys/rotate", "/v1/sys/raw/core",
        "/v1/sys/pprof/heap", "/v1/sys/metrics", "/v1/sys/config/auditing", "/v1/sys/audit/file",
        "/v1/sys/environments/dev/seal", "/v1/sys/environments/dev/unseal", "/v1/sys/limits/rate",
        "/v1/sys/approvals", "/v1/sys/policies/acl/root", "/v1/auth/token/tidy"}) {
    for (const api::HttpMethod method :
         {api::HttpMethod::kPost, api::HttpMethod::kPut, api::HttpMethod::kDelete}) {
      const ApiAnswer answer = api.Call({method, target, "{}", {}});
      EXPECT_EQ(answer.status, 403) << target;
    }
  }
  EXPECT_EQ(api.Call({api::HttpMethod::kGet, "/v1/sys/metrics", "", {}}).status, 403);
  EXPECT_FALSE(api.environments().Find("dev")->sealed());
}

TEST(Access, TakesABearerToken) {
  ApiService api;
  const ApiAnswer answer =
      api.Call(With({api::HttpMethod::kPost, "/v1/dev/keys/app", "{}", {}}, "Authorization",
                    "Bearer " + std::string(ApiService::kToken)));
  EXPECT_EQ(answer.status, 200);
}

TEST(Access, EndsWithRevokeSelf) {
  ApiService api;
  EXPECT_EQ(api.Post("/v1/auth/token/revoke-self").status, 204);
  EXPECT_EQ(api.Get("/v1/auth/token/lookup-self").status, 403);
}

TEST(Access, L14_EveryAnsweredRouteLeavesItsRecord) {
  ApiService api;
  for (const api::Route& route : api::RouteTable()) {
    if (route.unauthenticated || route.pattern == "auth/token/revoke-self") {
      continue;
    }
    const std::size_t before = api.audit.records().size();
    const ApiAnswer answer =
        api.Call(ApiService::WithToken(RequestOf(route, R"({"type":"transit"})")));
    const auto records = api.audit.records();
    ASSERT_GT(records.size(), before) << route.pattern;
    EXPECT_THAT(records.back(), HasSubstr(R"("type":"response")")) << route.pattern;
    EXPECT_THAT(records.back(), HasSubstr("\"status\":" + std::to_string(answer.status)));
    EXPECT_THAT(records.back(), HasSubstr(TargetOf(route).substr(4))) << route.pattern;
    EXPECT_NE(answer.gate_ticket, 0U) << route.pattern;
    if (route.changes_state && answer.status < 400) {
      EXPECT_THAT(records[before], HasSubstr(R"("type":"request")")) << route.pattern;
    }
  }
}

TEST(Access, L18_NothingChangesAndNobodyIsAnsweredWhileTheAuditLogRefuses) {
  for (const bool at_append : {true, false}) {
    ApiService api;
    api.Post("/v1/dev/keys/app");
    // Its encryptions are leased: a lease is no change that anybody asked for.
    api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})");
    const auto before = api.store.Contents();
    if (at_append) {
      api.audit.RefuseAppends();
    } else {
      api.audit.FailWrites();
    }
    for (const api::Route& route : api::RouteTable()) {
      if (route.unauthenticated) {
        continue;
      }
      const ApiAnswer answer =
          api.Call(ApiService::WithToken(RequestOf(route, R"({"plaintext":"aGk=","type":"transit"})")));
      EXPECT_GE(answer.status, 500) << route.pattern;
      EXPECT_THAT(answer.body, ::testing::StartsWith("{\"errors\":[")) << route.pattern;
      EXPECT_FALSE(answer.holds_secret) << route.pattern;
    }
    const auto after = api.store.Contents();
    ASSERT_EQ(after.size(), before.size());
    for (const auto& [path, value] : before) {
      EXPECT_EQ(after.find(path)->second.revision, value.revision) << path;
    }
    api.audit.RefuseAppends(false);
    api.audit.FailWrites(false);
    EXPECT_EQ(api.Get("/v1/dev/keys/app").status, 200);
  }
}

TEST(Access, L8_AChangeWhoseAttemptIsNotRecordedMayBeRepeated) {
  for (const bool at_append : {true, false}) {
    ApiService api;
    if (at_append) {
      api.audit.RefuseAppends();
    } else {
      api.audit.FailWrites();
    }
    EXPECT_EQ(api.Post("/v1/dev/keys/app").status, 503);
    api.audit.RefuseAppends(false);
    api.audit.FailWrites(false);
    EXPECT_EQ(api.Get("/v1/dev/keys/app").status, 404);
  }
}

TEST(Access, I3_HotAnswersCarryTheTicketOfTheirRecord) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})");
  bool deferred = true;
  api.audit.Hold();
  const ApiAnswer answer = api.CallOnLoop(
      ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/encrypt/app",
                             R"({"plaintext":"aGk="})", {}}),
      &deferred);
  ASSERT_FALSE(deferred);
  ASSERT_NE(answer.gate_ticket, 0U);
  EXPECT_EQ(api.audit.State(answer.gate_ticket), AuditState::kPending);
  api.audit.CommitHeld();
  EXPECT_EQ(api.audit.State(answer.gate_ticket), AuditState::kCommitted);
  EXPECT_THAT(api.audit.records().back(), HasSubstr("dev/encrypt/app"));
}

TEST(Access, AHotRequestIsRefusedWhenItsRecordIsRefused) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.audit.RefuseAppends();
  const ApiAnswer answer = api.CallOnLoop(ApiService::WithToken(
      {api::HttpMethod::kPost, "/v1/dev/encrypt/app", R"({"plaintext":"aGk="})", {}}));
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("vault:v1:")));
}

TEST(Access, L13_RecordsHoldNoTokenAndNoPayload) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string canary = "Y2FuYXJ5LWNhbmFyeQ==";
  const std::string body = R"({"plaintext":")" + canary + R"(","associated_data":")" + canary +
                           R"(","unknown":")" + canary + "\"}";
  const std::string ciphertext = TextAfter(api.Post("/v1/dev/encrypt/app", body).body, "vault:v1:");
  api.Post("/v1/dev/decrypt/app", R"({"ciphertext":"vault:v1:)" + ciphertext +
                                      R"(","associated_data":")" + canary + "\"}");
  api.Get("/v1/auth/token/lookup-self");
  for (const std::string& record : api.audit.records()) {
    EXPECT_THAT(record, ::testing::Not(HasSubstr(canary)));
    EXPECT_THAT(record, ::testing::Not(HasSubstr(std::string(ApiService::kToken))));
    EXPECT_THAT(record, ::testing::Not(HasSubstr(ciphertext)));
  }
}

}  // namespace
}  // namespace kms::testing
