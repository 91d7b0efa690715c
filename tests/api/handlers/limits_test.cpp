// SPDX-License-Identifier: Apache-2.0
// Limits as clients meet them: 429 with Retry-After, budgets, blocked logins, sys/limits/….
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "api/pipeline/call.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kAppPolicy = R"(
path "dev/encrypt/app" { capabilities = ["update"] }
path "dev/decrypt/app" { capabilities = ["update"] }
)";
constexpr std::string_view kPlaintext = R"({"plaintext":"c2VjcmV0IHJvdw=="})";

std::string RetryAfter(const ApiAnswer& answer) {
  std::string found;
  for (const auto& [name, value] : answer.headers) {
    found = name == "Retry-After" ? value : found;
  }
  return found;
}

// An application with its own actor, as if it had logged in as `who`.
std::string TokenOf(ApiService& api, std::string who, std::string_view policy = kAppPolicy) {
  EXPECT_TRUE(api.identity().policies().Put(*IdentityName::Parse("app"), policy).has_value());
  TokenGrant grant;
  grant.policies = {"app"};
  grant.entity_id = std::move(who);
  const Result<IssuedToken> issued = api.tokens().Issue(grant);
  EXPECT_TRUE(issued.has_value());
  return issued ? std::string(AsText(issued->token.View())) : std::string();
}

ApiRequest Encrypt(std::string_view token) {
  return ApiService::WithToken(
      {api::HttpMethod::kPost, "/v1/dev/encrypt/app", std::string(kPlaintext), {}}, token);
}

void LimitData(ApiService& api, std::string_view rule) {
  const ApiAnswer answer =
      api.Post("/v1/sys/limits/rate", "{\"class\":\"data\"," + std::string(rule) + "}");
  ASSERT_EQ(answer.status, 204) << answer.body;
}

class Limiting : public ::testing::Test {
 protected:
  Limiting() {
    EXPECT_EQ(api.Post("/v1/dev/keys/app").status, 200);
    EXPECT_EQ(api.Post("/v1/dev/encrypt/app", std::string(kPlaintext)).status, 200);
  }
  ApiService api;
};

// ---- rates
// ---------------------------------------------------------------------------------------

TEST_F(Limiting, ANoisyPrincipalGets429AndAQuietOneIsNeverRefused) {
  const std::string noisy = TokenOf(api, "noisy");
  const std::string quiet = TokenOf(api, "quiet");
  LimitData(api, R"("rate":10,"burst":5)");
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    const ApiAnswer answer = api.Call(Encrypt(noisy));
    if (answer.status == 429) {
      ++refused;
      EXPECT_EQ(answer.body, Errors("request path \"dev/encrypt/app\": rate limit quota exceeded"));
      EXPECT_EQ(RetryAfter(answer), "1");
    } else {
      EXPECT_EQ(answer.status, 200) << answer.body;
    }
    if (i % 20 == 0) {
      EXPECT_EQ(api.Call(Encrypt(quiet)).status, 200) << i;
    }
    api.clock.Advance(milliseconds(10));
  }
  EXPECT_EQ(refused, 200 - 5 - 19);
}

TEST_F(Limiting, ARefusalIsRecordedAndCostsNoUseOfTheKey) {
  const std::string token = TokenOf(api, "app");
  LimitData(api, R"("rate":1,"burst":1)");
  EXPECT_EQ(api.Call(Encrypt(token)).status, 200);
  EXPECT_EQ(api.Call(Encrypt(token)).status, 429);
  EXPECT_THAT(api.audit.records().back(), HasSubstr(R"("status":429)"));
  EXPECT_THAT(api.audit.records().back(), HasSubstr("rate limit quota exceeded"));
  EXPECT_THAT(api.audit.records().back(), Not(HasSubstr("c2VjcmV0")));
}

TEST_F(Limiting, HoldsOnTheLoopToo) {
  const std::string token = TokenOf(api, "app");
  LimitData(api, R"("rate":1,"burst":3)");
  std::vector<int> answers;
  for (int i = 0; i < 5; ++i) {
    answers.push_back(api.CallOnLoop(Encrypt(token)).status);
  }
  EXPECT_THAT(answers, ElementsAre(200, 200, 200, 429, 429));
}

TEST_F(Limiting, WhatTheLoopLeavesToThePoolIsCountedOnce) {
  const std::string token = TokenOf(api, "app", R"(
path "dev/encrypt/app" { capabilities = ["update"] allowed_parameters = { "plaintext" = [] } }
)");
  LimitData(api, R"("rate":1,"burst":4)");
  std::vector<int> answers;
  for (int i = 0; i < 5; ++i) {
    bool deferred = false;
    answers.push_back(api.CallOnLoop(Encrypt(token), &deferred).status);
    EXPECT_TRUE(deferred);
  }
  EXPECT_THAT(answers, ElementsAre(200, 200, 200, 200, 429));
}

TEST_F(Limiting, WaitingAsToldHelps) {
  const std::string token = TokenOf(api, "app");
  LimitData(api, R"("rate":2,"interval":"1m","burst":1)");
  EXPECT_EQ(api.Call(Encrypt(token)).status, 200);
  const ApiAnswer refused = api.Call(Encrypt(token));
  EXPECT_EQ(RetryAfter(refused), "30");
  api.clock.Advance(seconds(30));
  EXPECT_EQ(api.Call(Encrypt(token)).status, 200);
}

TEST_F(Limiting, ByAddressCountsStrangersBeforeTheirTokensAreLookedAt) {
  LimitData(api, R"("scope":"address","rate":1,"burst":2)");
  ApiRequest stranger{api::HttpMethod::kPost, "/v1/dev/encrypt/app", "{}", {}};
  stranger.remote_address = "192.0.2.1";
  std::vector<int> answers;
  for (int i = 0; i < 3; ++i) {
    answers.push_back(api.Call(stranger).status);
  }
  EXPECT_THAT(answers, ElementsAre(403, 403, 429));
  ApiRequest other = Encrypt(ApiService::kToken);
  other.remote_address = "192.0.2.2";
  EXPECT_EQ(api.Call(other).status, 200);
}

TEST_F(Limiting, AreReadBackAndLifted) {
  const auto limits = [&] { return WithoutRequestId(api.Get("/v1/sys/limits/rate").body); };
  const std::string logins =
      R"({"class":"login","scope":"address","rate":5,"interval":1,"burst":50})";
  EXPECT_EQ(limits(), Envelope("{\"limits\":[" + logins + "]}", "null", "system"));
  LimitData(api, R"("rate":100)");
  LimitData(api, R"("scope":"total","rate":"30","interval":"1m","burst":7)");
  EXPECT_EQ(limits(),
            Envelope(R"({"limits":[{"class":"data","scope":"principal","rate":100,)"
                     R"("interval":1,"burst":100},{"class":"data","scope":"total","rate":30,)"
                     R"("interval":60,"burst":7},)" +
                         logins + "]}",
                     "null", "system"));
  LimitData(api, R"("scope":"total","rate":0)");
  LimitData(api, R"("rate":0)");
  EXPECT_EQ(limits(), Envelope("{\"limits\":[" + logins + "]}", "null", "system"));
}

TEST_F(Limiting, RefuseWhatCannotBe) {
  const auto before = api.store.Contents().size();
  for (const char* body :
       {R"({})", R"({"class":"data"})", R"({"rate":1})", R"({"class":"Data","rate":1})",
        R"({"class":"data","scope":"everybody","rate":1})", R"({"class":"data","rate":-1})",
        R"({"class":"data","rate":1000001})", R"({"class":"data","rate":1,"interval":0})",
        R"({"class":"data","rate":1,"interval":"2h"})", R"({"class":"data","rate":1,"burst":0})",
        R"({"class":"data","rate":1,"burst":-5})", R"({"class":"data","rate":"many"})",
        R"({"class":"login","rate":1})", R"({"class":"login","scope":"total","rate":1})",
        R"({"class":"data","rate":9223372036854775807})",
        R"({"class":"data","rate":1,"burst":9223372036854775807})"}) {
    EXPECT_EQ(api.Post("/v1/sys/limits/rate", body).status, 400) << body;
  }
  EXPECT_EQ(api.store.Contents().size(), before);
}

TEST_F(Limiting, RootCannotLockItselfOut) {
  for (const char* scope : {"principal", "total"}) {
    EXPECT_EQ(api.Post("/v1/sys/limits/rate",
                       R"({"class":"system","rate":1,"interval":3600,"burst":1,"scope":")" +
                           std::string(scope) + "\"}")
                  .status,
              204);
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(api.Get("/v1/sys/limits/rate").status, 200);
  }
}

TEST_F(Limiting, TakesSudoToChangeAndOnlyReadToSee) {
  const std::string token = TokenOf(api, "operator", R"(
path "sys/limits/*" { capabilities = ["create", "read", "update", "delete", "list"] }
)");
  const auto call = [&](api::HttpMethod method, std::string target, std::string body = "") {
    return api.CallAs(token, {method, std::move(target), std::move(body), {}}).status;
  };
  EXPECT_EQ(call(api::HttpMethod::kGet, "/v1/sys/limits/rate"), 200);
  EXPECT_EQ(call(api::HttpMethod::kGet, "/v1/sys/limits/status"), 200);
  EXPECT_EQ(call(api::HttpMethod::kPost, "/v1/sys/limits/rate", R"({"class":"data","rate":1})"),
            403);
  EXPECT_EQ(call(api::HttpMethod::kPost, "/v1/sys/limits/budgets/b", R"({"rows_per_hour":1})"),
            403);
  EXPECT_EQ(call(api::HttpMethod::kDelete, "/v1/sys/limits/budgets/b"), 403);
  EXPECT_EQ(call(api::HttpMethod::kDelete, "/v1/sys/limits/blocks?all=true"), 403);
}

// ---- budgets
// -------------------------------------------------------------------------------------

class Budgets : public Limiting {
 protected:
  Budgets() {
    const ApiAnswer encrypted = api.Post("/v1/dev/encrypt/app", std::string(kPlaintext));
    ciphertext = TextAfter(encrypted.body, R"("ciphertext":")");
  }
  ApiRequest Decrypt(std::string_view token, int rows = 1) {
    std::string body = R"({"batch_input":[)";
    for (int i = 0; i < rows; ++i) {
      body += (i == 0 ? R"({"ciphertext":")" : R"(,{"ciphertext":")") + ciphertext + "\"}";
    }
    body += "]}";
    if (rows == 1) {
      body = R"({"ciphertext":")" + ciphertext + "\"}";
    }
    return ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/decrypt/app", body, {}}, token);
  }
  std::string ciphertext;
};

TEST_F(Budgets, U24_AStolenTokenDoesItsOwnVerbsRaisesAnAlarmIsStoppedAndRevokedAtOnce) {
  std::vector<std::string> alarms;
  api::Pipeline pipeline(
      api::RouteTable(),
      api::Services{api.environments(),
                    api.audit,
                    api.identity(),
                    api.limits,
                    api.clock,
                    {.alarm = [&](std::string_view what) { alarms.emplace_back(what); }}});
  const auto call = [&](const ApiRequest& sent) {
    api::HttpRequest request;
    request.method = sent.method;
    request.path = sent.target;
    request.body = sent.body;
    request.remote_address = "203.0.113.66";
    for (const auto& [name, value] : sent.headers) {
      request.headers.push_back({.name = name, .value = value});
    }
    api::HttpResponse response;
    if (pipeline.HandleOnLoop(request, response) == api::Lane::kDefer) {
      pipeline.Handle(request, response);
    }
    return ApiAnswer{.status = response.status, .body = response.body, .headers = response.headers};
  };
  EXPECT_EQ(
      api.Post("/v1/sys/limits/budgets/watch", R"({"rows_per_hour":50,"policy":"app"})").status,
      204);
  EXPECT_EQ(api.Post("/v1/sys/limits/budgets/cap",
                     R"({"rows_per_hour":100,"environment":"dev","key":"a*","action":"stop"})")
                .status,
            204);
  const std::string token = TokenOf(api, "billing");

  // Its verbs on its key, and nothing else.
  for (const char* target :
       {"/v1/dev/rewrap/app", "/v1/dev/keys/app", "/v1/dev/keys/app/rotate",
        "/v1/dev/export/encryption-key/app", "/v1/dev/encrypt/other", "/v1/prod/decrypt/app",
        "/v1/sys/policies/acl/app", "/v1/sys/limits/budgets/cap", "/v1/auth/token/create"}) {
    EXPECT_EQ(call(ApiService::WithToken({api::HttpMethod::kPost, target, "{}", {}}, token)).status,
              403)
        << target;
  }

  // It decrypts all it can get: somebody hears of it, then it is stopped.
  int rows = 0;
  ApiAnswer last;
  while ((last = call(Decrypt(token))).status == 200) {
    ++rows;
    ASSERT_LE(rows, 100);
  }
  EXPECT_EQ(rows, 100);
  EXPECT_EQ(last.status, 429);
  EXPECT_THAT(last.body, HasSubstr("decryption budget"));
  EXPECT_THAT(last.body, HasSubstr("cap"));
  EXPECT_THAT(last.body, Not(HasSubstr(ciphertext)));
  EXPECT_EQ(RetryAfter(last).size(), 4U);  // most of an hour
  ASSERT_EQ(alarms.size(), 2U);
  EXPECT_THAT(alarms[0], HasSubstr("\"watch\" of 50 per hour"));
  EXPECT_THAT(alarms[1], HasSubstr("\"cap\" of 100 per hour"));
  EXPECT_THAT(alarms[1], HasSubstr("dev/app"));
  int recorded = 0;
  for (const std::string& record : api.audit.records()) {
    recorded += record.contains("sys/limits/budgets/watch") && record.contains("alarm") ? 1 : 0;
    recorded += record.contains("sys/limits/budgets/cap") && record.contains("\"stop\"") ? 1 : 0;
  }
  EXPECT_EQ(recorded, 2);

  // Others are not stopped by it.
  EXPECT_EQ(call(Decrypt(TokenOf(api, "shipping"))).status, 200);
  EXPECT_EQ(call(Encrypt(token)).status, 200);

  // Revoked, it is of no use from the next request on.
  const auto principal = api.tokens().Lookup(token);
  ASSERT_TRUE(principal.has_value());
  EXPECT_TRUE(api.tokens().Revoke(**principal).has_value());
  EXPECT_EQ(call(Encrypt(token)).status, 403);
}

TEST_F(Budgets, CountTheItemsOfABatch) {
  EXPECT_EQ(
      api.Post("/v1/sys/limits/budgets/cap", R"({"rows_per_hour":10,"action":"stop"})").status,
      204);
  const std::string token = TokenOf(api, "app");
  EXPECT_EQ(api.CallOnLoop(Decrypt(token, 11)).status, 429);
  EXPECT_EQ(api.CallOnLoop(Decrypt(token, 6)).status, 200);
  EXPECT_EQ(api.Call(Decrypt(token, 5)).status, 429);
  EXPECT_EQ(api.Call(Decrypt(token, 4)).status, 200);
  EXPECT_EQ(api.Call(Decrypt(token, 1)).status, 429);
  api.clock.Advance(minutes(60));
  EXPECT_EQ(api.CallOnLoop(Decrypt(token, 10)).status, 200);
}

TEST_F(Budgets, AreMadeReadListedReplacedAndDeleted) {
  EXPECT_EQ(api.List("/v1/sys/limits/budgets").status, 404);
  EXPECT_EQ(api.Get("/v1/sys/limits/budgets/cap").status, 404);
  EXPECT_EQ(
      api.Post("/v1/sys/limits/budgets/Cap", R"({"rows_per_hour":10,"action":"stop","actor":"b*"})")
          .status,
      204);
  const std::string cap = R"({"name":"cap","environment":"*","key":"*","policy":"*","actor":"b*",)"
                          R"("rows_per_hour":10,"action":"stop"})";
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/sys/limits/budgets/cap").body),
            Envelope(cap, "null", "system"));
  EXPECT_EQ(WithoutRequestId(api.List("/v1/sys/limits/budgets").body),
            Envelope(R"({"keys":["cap"],"key_info":{"cap":)" + cap + "}}", "null", "system"));
  EXPECT_EQ(api.Post("/v1/sys/limits/budgets/cap", R"({"rows_per_hour":20})").status, 204);
  EXPECT_THAT(api.Get("/v1/sys/limits/budgets/cap").body,
              HasSubstr(R"("actor":"*","rows_per_hour":20,"action":"alarm")"));
  EXPECT_EQ(api.Delete("/v1/sys/limits/budgets/cap").status, 204);
  EXPECT_EQ(api.Delete("/v1/sys/limits/budgets/cap").status, 204);
  EXPECT_EQ(api.List("/v1/sys/limits/budgets").status, 404);
}

TEST_F(Budgets, RefuseWhatCannotBe) {
  for (const char* body :
       {R"({})", R"({"rows_per_hour":0})", R"({"rows_per_hour":-1})", R"({"rows_per_hour":"x"})",
        R"({"rows_per_hour":1,"action":"shout"})", R"({"rows_per_hour":1,"key":""})",
        R"({"rows_per_hour":1,"environment":"a\u0000b"})", R"({"rows_per_hour":4000000001})"}) {
    EXPECT_EQ(api.Post("/v1/sys/limits/budgets/cap", body).status, 400) << body;
  }
  EXPECT_EQ(api.Post("/v1/sys/limits/budgets/-", R"({"rows_per_hour":1})").status, 400);
  EXPECT_EQ(api.List("/v1/sys/limits/budgets").status, 404);
}

// ---- logins
// --------------------------------------------------------------------------------------

int verifications = 0;

// A login that takes the password "right".
Result<api::Reply> LogIn(api::Call& call) {
  KMS_TRY(call.BeginLogin(call.fields.Text("user")));
  ++verifications;
  if (call.fields.Text("password") != "right") {
    return MakeError(ErrorCode::kUnauthenticated, "invalid username or password");
  }
  return api::Reply::NoContent();
}

constexpr std::array kLoginFields = {api::FieldSpec{.name = "password"}};
constexpr std::array kLoginRoutes = {
    api::Route{.operation = api::Operation::kUpdate,
               .pattern = "login/{user}",
               .capability = api::Capability::kNone,
               .fields = kLoginFields,
               .handle = LogIn,
               .auth_type = "userpass",
               .login = true},
};

class Logins : public ::testing::Test {
 protected:
  Logins() : limits({*CidrBlock::Parse("10.0.0.0/8")}) {
    verifications = 0;
    api.EnableEveryAuthMethod();
    pipeline = std::make_unique<api::Pipeline>(
        kLoginRoutes,
        api::Services{api.environments(), api.audit, api.identity(), limits, api.clock, {}});
  }
  ~Logins() override { api.identity().limit_settings().Attach(api.limits); }

  ApiAnswer LogInAs(std::string_view user, std::string_view password, std::string_view from,
                    std::string_view forwarded_for = "") {
    const std::string path = "/v1/auth/userpass/login/" + std::string(user);
    const std::string body = R"({"password":")" + std::string(password) + "\"}";
    api::HttpRequest request;
    request.method = api::HttpMethod::kPost;
    request.path = path;
    request.body = body;
    request.remote_address = from;
    if (!forwarded_for.empty()) {
      request.headers.push_back({.name = "X-Forwarded-For", .value = forwarded_for});
    }
    api::HttpResponse response;
    pipeline->Handle(request, response);
    return {.status = response.status, .body = response.body, .headers = response.headers};
  }
  void Guess(int times, std::string_view user, std::string_view from,
             std::string_view forwarded_for = "") {
    for (int i = 0; i < times; ++i) {
      LogInAs(user, "wrong", from, forwarded_for);
      api.clock.Advance(seconds(1));
    }
  }

  ApiService api;
  Limits limits;
  std::unique_ptr<api::Pipeline> pipeline;
};

TEST_F(Logins, U22_GuessingIsSlowedBeforeThePasswordIsLookedAt) {
  Guess(200, "alice", "192.0.2.1");
  EXPECT_LE(verifications, 14);  // 200 s: five, and then after 1, 2, 4, … seconds
  const int before = verifications;
  const ApiAnswer answer = LogInAs("alice", "right", "192.0.2.1");
  EXPECT_EQ(answer.status, 429);
  EXPECT_FALSE(RetryAfter(answer).empty());
  EXPECT_EQ(verifications, before);
  EXPECT_THAT(api.audit.records().back(), HasSubstr(R"("status":429)"));
}

TEST_F(Logins, U22_IsNoWeaponAgainstWhoIsGuessedAt) {
  EXPECT_EQ(LogInAs("alice", "right", "198.51.100.1").status, 204);
  Guess(200, "alice", "192.0.2.1");
  for (int i = 0; i < 100; ++i) {
    Guess(2, "alice", "192.0.2." + std::to_string(i));
  }
  EXPECT_EQ(LogInAs("alice", "right", "198.51.100.1").status, 204);
  EXPECT_EQ(LogInAs("bob", "right", "198.51.100.1").status, 204);
}

TEST_F(Logins, U22_ASuccessOfTheGuesserBuysNoGuesses) {
  for (int i = 0; i < 60; ++i) {
    LogInAs("alice", "wrong", "192.0.2.1");
    LogInAs("mallory", "right", "192.0.2.1");
    api.clock.Advance(seconds(1));
  }
  EXPECT_EQ(LogInAs("alice", "right", "192.0.2.1").status, 429);
}

TEST_F(Logins, U20_AClientCannotBorrowAnAddress) {
  for (int i = 0; i < 50; ++i) {
    LogInAs("user-" + std::to_string(i), "wrong", "192.0.2.1", "198.51.100." + std::to_string(i));
    api.clock.Advance(milliseconds(200));
  }
  EXPECT_EQ(LogInAs("alice", "right", "192.0.2.1", "127.0.0.1").status, 429);
  EXPECT_EQ(LogInAs("alice", "right", "198.51.100.1").status, 204);
}

TEST_F(Logins, U20_BehindAProxyOnlyTheGuesserIsBlocked) {
  for (int i = 0; i < 50; ++i) {
    LogInAs("user-" + std::to_string(i), "wrong", "10.0.0.1", "127.0.0.1, 192.0.2.1");
    api.clock.Advance(milliseconds(200));
  }
  EXPECT_EQ(LogInAs("alice", "right", "10.0.0.1", "192.0.2.1").status, 429);
  EXPECT_EQ(LogInAs("alice", "right", "10.0.0.1", "198.51.100.1").status, 204);
  EXPECT_EQ(LogInAs("alice", "right", "10.0.0.1").status, 204);
  EXPECT_EQ(LogInAs("alice", "right", "127.0.0.1").status, 204);
}

TEST_F(Logins, U20_AMalformedListOfAProxyIsRefused) {
  EXPECT_EQ(LogInAs("alice", "right", "10.0.0.1", "unknown").status, 400);
  EXPECT_EQ(verifications, 0);
}

TEST_F(Logins, A19_TooManyAreRefusedBeforeTheyCost) {
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    refused += LogInAs("user-" + std::to_string(i), "right", "192.0.2.1").status == 429 ? 1 : 0;
  }
  EXPECT_EQ(refused, 150);  // a burst of 50
  EXPECT_EQ(verifications, 50);
}

TEST_F(Logins, MalformedRequestsAreNoFailedLogins) {
  for (int i = 0; i < 40; ++i) {
    const ApiAnswer answer = LogInAs("alice", "\"", "192.0.2.1");
    EXPECT_EQ(answer.status, 400);
  }
  EXPECT_EQ(LogInAs("alice", "right", "192.0.2.1").status, 204);
}

TEST_F(Logins, BlocksAreListedAndCleared) {
  const auto list = [&] {
    api::Pipeline all(
        api::RouteTable(),
        api::Services{api.environments(), api.audit, api.identity(), limits, api.clock, {}});
    api::HttpRequest request;
    request.method = api::HttpMethod::kList;
    request.path = "/v1/sys/limits/blocks";
    request.headers.push_back({.name = "X-Vault-Token", .value = ApiService::kToken});
    api::HttpResponse response;
    all.Handle(request, response);
    return response;
  };
  const auto clear = [&](std::string_view query) {
    api::Pipeline all(
        api::RouteTable(),
        api::Services{api.environments(), api.audit, api.identity(), limits, api.clock, {}});
    api::HttpRequest request;
    request.method = api::HttpMethod::kDelete;
    request.path = "/v1/sys/limits/blocks";
    request.query = query;
    request.headers.push_back({.name = "X-Vault-Token", .value = ApiService::kToken});
    api::HttpResponse response;
    all.Handle(request, response);
    return response;
  };
  EXPECT_EQ(list().status, 404);
  for (int i = 0; i < 8; ++i) {
    limits.logins.Failed("192.0.2.1", "userpass/alice", api.clock.SteadyNow());
  }
  const api::HttpResponse listed = list();
  EXPECT_EQ(listed.status, 200);
  EXPECT_EQ(WithoutRequestId(listed.body),
            Envelope(R"({"keys":["userpass/alice@192.0.2.1"],"blocks":[{"kind":"name-at-address",)"
                     R"("address":"192.0.2.1","name":"userpass/alice","failures":8,)"
                     R"("remaining":4}]})",
                     "null", "system"));
  for (const char* bad : {"", "all=false", "adress=192.0.2.1", "address=nowhere",
                          "all=true&address=192.0.2.1", "login="}) {
    EXPECT_EQ(clear(bad).status, 400) << bad;
  }
  EXPECT_EQ(list().status, 200);
  const api::HttpResponse cleared = clear("login=userpass%2Falice");
  EXPECT_EQ(cleared.status, 200);
  EXPECT_THAT(cleared.body, HasSubstr(R"({"cleared":2})"));
  EXPECT_EQ(list().status, 404);
  EXPECT_THAT(clear("all=true").body, HasSubstr(R"({"cleared":1})"));
}

// ---- status
// --------------------------------------------------------------------------------------

TEST_F(Budgets, StatusAndMetricsShowWhoUsesMost) {
  EXPECT_EQ(api.Post("/v1/sys/limits/budgets/cap", R"({"rows_per_hour":2,"action":"stop"})").status,
            204);
  LimitData(api, R"("rate":1,"burst":4)");
  const std::string token = TokenOf(api, "billing");
  std::vector<int> answers;
  for (int i = 0; i < 6; ++i) {
    answers.push_back(api.Call(Decrypt(token)).status);
  }
  EXPECT_THAT(answers, ElementsAre(200, 200, 429, 429, 429, 429));
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/sys/limits/status").body),
            Envelope(R"({"rate":{"refused":{"principal":2,"address":0,"total":0},"top":[)"
                     R"({"class":"data","scope":"principal","who":"billing","admitted":4,)"
                     R"("refused":2}]},"budgets":{"alarms":0,"stops":2,"top":[{"budget":"cap",)"
                     R"("actor":"billing","environment":"dev","key":"app","rows":2,)"
                     R"("rows_per_hour":2}]},"logins":{"refused":0,"blocked":0}})",
                     "null", "system"));
  const std::string metrics = api.Get("/v1/sys/metrics?format=prometheus").body;
  EXPECT_THAT(metrics, HasSubstr("kms_limit_refusals_total{scope=\"principal\"} 2"));
  EXPECT_THAT(metrics, HasSubstr("kms_decryption_budget_total{outcome=\"stop\"} 2"));
  EXPECT_THAT(metrics, HasSubstr("kms_login_refusals_total 0"));
}

}  // namespace
}  // namespace kms::testing
