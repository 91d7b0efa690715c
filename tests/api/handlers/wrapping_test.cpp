// SPDX-License-Identifier: Apache-2.0
// Response wrapping over the whole pipeline (transit-api 9.9).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kNotValid = "wrapping token is not valid or does not exist";

class WrappingTest : public ::testing::Test {
 protected:
  WrappingTest() { EXPECT_EQ(api_.Post("/v1/dev/keys/app").status, 200); }

  static ApiRequest Wrapped(ApiRequest request, std::string ttl = "60s") {
    request.headers.emplace_back("X-Vault-Wrap-TTL", std::move(ttl));
    return request;
  }
  static ApiRequest DataKey() {
    return {api::HttpMethod::kPost, "/v1/dev/datakey/plaintext/app", "{}", {}};
  }
  ApiAnswer WrapDataKey(std::string ttl = "60s") {
    return api_.Call(ApiService::WithToken(Wrapped(DataKey(), std::move(ttl))));
  }
  static std::string TokenIn(const ApiAnswer& answer) {
    return TextAfter(answer.body, R"("wrap_info":{"token":")");
  }
  // With the wrapping token as the one token of the request.
  ApiAnswer Unwrap(std::string_view token, std::string verb = "unwrap") {
    return api_.CallAs(token, {api::HttpMethod::kPost, "/v1/sys/wrapping/" + verb, "", {}});
  }
  ApiAnswer UnwrapNamed(std::string_view token, std::string_view caller) {
    return api_.CallAs(caller, {api::HttpMethod::kPost,
                                "/v1/sys/wrapping/unwrap",
                                R"({"token":")" + std::string(token) + "\"}",
                                {}});
  }

  ApiService api_;
};

TEST_F(WrappingTest, AnAnswerIsKeptUntilItsTokenComes) {
  const ApiAnswer answer = WrapDataKey();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.holds_secret);
  EXPECT_THAT(answer.body, HasSubstr(R"("data":null,"wrap_info":{"token":")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("ttl":60,"creation_time":"2026-01-01T00:00:00)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("creation_path":"dev/datakey/plaintext/app"})"));
  EXPECT_THAT(answer.body, Not(HasSubstr("plaintext\":")));

  const ApiAnswer opened = Unwrap(TokenIn(answer));

  EXPECT_EQ(opened.status, 200);
  EXPECT_TRUE(opened.holds_secret);
  EXPECT_THAT(opened.body, HasSubstr(R"("data":{"ciphertext":"vault:v1:)"));
  EXPECT_THAT(opened.body, HasSubstr(R"("plaintext":")"));
  EXPECT_THAT(opened.body, HasSubstr(R"("wrap_info":null)"));
}

TEST_F(WrappingTest, OpensOnceAndSaysTheSameOfEveryBadToken) {
  const std::string token = TokenIn(WrapDataKey());
  EXPECT_EQ(Unwrap(token).status, 200);
  for (const std::string& bad :
       {token, std::string("hvs.nothing"), std::string(), std::string(ApiService::kToken)}) {
    for (const char* verb : {"unwrap", "lookup", "rewrap"}) {
      const ApiAnswer answer = Unwrap(bad, verb);
      EXPECT_EQ(answer.status, 400) << verb;
      EXPECT_EQ(answer.body, Errors(kNotValid)) << verb;
    }
  }
}

TEST_F(WrappingTest, TheTokenMayBeNamedByAnother) {
  const std::string token = TokenIn(WrapDataKey());
  EXPECT_EQ(UnwrapNamed(token, ApiService::kToken).status, 200);
}

TEST_F(WrappingTest, ATokenThatComesAlongMustBeGoodAndSpendsNothingElse) {
  const std::string token = TokenIn(WrapDataKey());
  EXPECT_EQ(UnwrapNamed(token, "hvs.wrong").status, 403);
  const std::string poor = api_.TokenWith("poor", R"(path "dev/*" { capabilities = ["read"] })");
  EXPECT_EQ(UnwrapNamed(token, poor).status, 403);
  const std::string good =
      api_.TokenWith("opener", R"(path "sys/wrapping/unwrap" { capabilities = ["update"] })");
  EXPECT_EQ(UnwrapNamed(token, good).status, 200);
}

TEST_F(WrappingTest, OneOf50CallersGetsTheAnswer) {
  const std::string token = TokenIn(WrapDataKey());
  std::atomic<int> got{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] { got += Unwrap(token).status == 200 ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(got, 1);
}

TEST_F(WrappingTest, LookupSaysWhatItIsAndSpendsNothing) {
  const std::string token = TokenIn(WrapDataKey());
  const ApiAnswer found =
      api_.CallAs(token, {api::HttpMethod::kGet, "/v1/sys/wrapping/lookup", "", {}});
  EXPECT_EQ(found.status, 200);
  EXPECT_THAT(
      found.body,
      HasSubstr(R"("data":{"creation_path":"dev/datakey/plaintext/app","creation_time":")"));
  EXPECT_THAT(found.body, HasSubstr(R"("creation_ttl":60})"));
  EXPECT_EQ(Unwrap(token).status, 200);
}

TEST_F(WrappingTest, RewrapMovesTheAnswer) {
  const std::string token = TokenIn(WrapDataKey());
  const ApiAnswer moved = Unwrap(token, "rewrap");
  EXPECT_EQ(moved.status, 200);
  EXPECT_NE(TokenIn(moved), token);
  EXPECT_EQ(Unwrap(token).status, 400);
  EXPECT_EQ(Unwrap(TokenIn(moved)).status, 200);
}

TEST_F(WrappingTest, WrapTakesAnyObjectAndNeedsATime) {
  ApiRequest request{api::HttpMethod::kPost,
                     "/v1/sys/wrapping/wrap",
                     R"({"b":[1,{"x":"\"}"}],"a":null,"q\"":true,"n":1.5} trailing)",
                     {}};
  const ApiAnswer refused = api_.Call(ApiService::WithToken(request));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, Errors("endpoint requires response wrapping to be used"));

  const ApiAnswer wrapped = api_.Call(ApiService::WithToken(Wrapped(request)));
  EXPECT_THAT(wrapped.body, HasSubstr(R"("creation_path":"sys/wrapping/wrap")"));
  EXPECT_THAT(wrapped.body, HasSubstr(R"("warnings":null)"));
  EXPECT_THAT(Unwrap(TokenIn(wrapped)).body,
              HasSubstr(R"("data":{"a":null,"b":[1,{"x":"\"}"}],"n":1.5,"q\"":true},)"));
}

TEST_F(WrappingTest, ErrorsAndEmptyAnswersAreNotWrapped) {
  const ApiAnswer missing = api_.Call(ApiService::WithToken(
      Wrapped({api::HttpMethod::kPost, "/v1/dev/datakey/plaintext/none", "{}", {}})));
  EXPECT_EQ(missing.status, 400);
  EXPECT_THAT(missing.body, Not(HasSubstr("wrap_info")));
  const ApiAnswer empty = api_.Call(ApiService::WithToken(
      Wrapped({api::HttpMethod::kPost, "/v1/sys/mounts/dev/tune", "{}", {}})));
  EXPECT_EQ(empty.status, 204);
  EXPECT_EQ(empty.body, "");
}

TEST_F(WrappingTest, PlaintextOfABatchThatFailedInPartDoesNotLeaveUnwrapped) {
  const std::string good = TextAfter(
      api_.Post("/v1/dev/encrypt/app", R"({"plaintext":"c2VjcmV0"})").body, R"("ciphertext":")");
  const ApiAnswer answer = api_.Call(ApiService::WithToken(Wrapped(
      {api::HttpMethod::kPost,
       "/v1/dev/decrypt/app",
       R"({"batch_input":[{"ciphertext":")" + good + R"("},{"ciphertext":"vault:v1:AAAA"}]})",
       {}})));
  EXPECT_THAT(answer.body, Not(HasSubstr("c2VjcmV0")));
  EXPECT_THAT(Unwrap(TokenIn(answer)).body, HasSubstr("c2VjcmV0"));
}

TEST_F(WrappingTest, A19_LargeTokensAndLargeAnswersCostAnAnswer) {
  EXPECT_EQ(Unwrap(std::string(20'000, 'a')).status, 403);
  const std::string large(200'000, 'x');
  const ApiAnswer answer = api_.Call(ApiService::WithToken(
      Wrapped({api::HttpMethod::kPost, "/v1/sys/wrapping/wrap", R"({"x":")" + large + "\"}", {}})));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("can be wrapped"));
}

TEST_F(WrappingTest, RefusesTimesThatAreNone) {
  for (const char* ttl : {"-1", "x", "1x", "1e3", "99999999h"}) {
    EXPECT_EQ(WrapDataKey(ttl).status, 400) << ttl;
  }
}

TEST_F(WrappingTest, U21_AWrappingTokenOpensNoOtherDoor) {
  const std::string token = TokenIn(WrapDataKey());
  for (const char* target : {"/v1/auth/token/lookup-self", "/v1/dev/keys/app", "/v1/sys/mounts"}) {
    EXPECT_EQ(api_.CallAs(token, {api::HttpMethod::kGet, target, "", {}}).status, 403) << target;
  }
  EXPECT_EQ(api_.CallAs(token, {api::HttpMethod::kPost, "/v1/auth/token/create", "{}", {}}).status,
            403);
  EXPECT_EQ(Unwrap(token).status, 200);
}

TEST_F(WrappingTest, U4_AnAnswerOfOneEnvironmentIsNotOpenedAtAnother) {
  const std::string token = TokenIn(WrapDataKey());
  ApiRequest request{api::HttpMethod::kPost, "/v1/sys/wrapping/unwrap", "", {}};
  request.headers.emplace_back("X-Vault-Namespace", "prod");
  const ApiAnswer refused = api_.CallAs(token, request);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, Errors(kNotValid));
  EXPECT_EQ(Unwrap(token).status, 200);
}

TEST_F(WrappingTest, APolicyMayDemandIt) {
  const std::string token = api_.TokenWith("wrapper", R"(path "dev/datakey/plaintext/app" {
    capabilities = ["update"] min_wrapping_ttl = "30s" max_wrapping_ttl = "90s" })");
  EXPECT_EQ(api_.CallAs(token, DataKey()).status, 403);
  EXPECT_EQ(api_.CallAs(token, Wrapped(DataKey(), "10s")).status, 403);
  EXPECT_EQ(api_.CallAs(token, Wrapped(DataKey(), "2m")).status, 403);
  EXPECT_EQ(api_.CallAs(token, Wrapped(DataKey(), "60s")).status, 200);
}

TEST_F(WrappingTest, TheAuditLogNamesTheTokenAndNeverHoldsIt) {
  const ApiAnswer answer = WrapDataKey();
  const std::string token = TokenIn(answer);
  const std::string accessor = TextAfter(answer.body, R"("accessor":")");
  ASSERT_EQ(Unwrap(token).status, 200);
  std::size_t named = 0;
  for (const std::string& record : api_.audit.records()) {
    EXPECT_THAT(record, Not(HasSubstr(token)));
    named += record.find(accessor) != std::string::npos ? 1U : 0U;
  }
  EXPECT_EQ(named, 2U);  // when it was wrapped and when it was opened
}

}  // namespace
}  // namespace kms::testing
