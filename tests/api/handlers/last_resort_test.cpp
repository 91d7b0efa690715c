// SPDX-License-Identifier: Apache-2.0
// What happens when a handler fails in ways no handler should (P12), and who is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Result<api::Reply> Throw(api::Call& /*call*/) { throw std::runtime_error("s3cr3t"); }
Result<api::Reply> FailInside(api::Call& /*call*/) {
  return MakeError(ErrorCode::kCorrupted, "entry x", "row 7 of keys");
}

constexpr std::array kRoutes = {
    api::Route{.operation = api::Operation::kRead, .pattern = "sys/throw",
               .capability = api::Capability::kRead, .handle = Throw, .absolute = true},
    api::Route{.operation = api::Operation::kRead, .pattern = "sys/fail",
               .capability = api::Capability::kRead, .handle = FailInside, .absolute = true},
};

ApiAnswer CallOn(ApiService& api, std::string_view target, api::PipelineOptions options) {
  api::Pipeline pipeline(kRoutes, api::Services{api.environments(), api.audit, api.identity(),
                                                api.limits, api.clock, std::move(options)});
  api::HttpRequest request;
  request.path = target;
  request.headers.push_back({.name = "X-Vault-Token", .value = ApiService::kToken});
  api::HttpResponse response;
  pipeline.Handle(request, response);
  return {.status = response.status, .body = response.body, .gate_ticket = response.gate_ticket};
}

TEST(Pipeline, P12_AnExceptionIs500RecordedAndSaysNothing) {
  ApiService api;
  const ApiAnswer answer = CallOn(api, "/v1/sys/throw", {});
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, Errors("1 error occurred:\n\t* internal error\n\n"));
  EXPECT_THAT(api.audit.records().back(), HasSubstr(R"("status":500)"));
  EXPECT_THAT(api.audit.records().back(), Not(HasSubstr("s3cr3t")));
}

TEST(Pipeline, D8_DamageIs500AndItsDetailGoesToTheReportOnly) {
  ApiService api;
  std::string told;
  const ApiAnswer answer = CallOn(api, "/v1/sys/fail", {.report = [&](const Error& error, std::string_view path) {
    told = std::string(path) + ": " + error.detail;
  }});
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, HasSubstr("damaged entry"));
  EXPECT_THAT(answer.body, Not(HasSubstr("row 7")));
  EXPECT_EQ(told, "sys/fail: row 7 of keys");
}

TEST(Pipeline, RefusesForTheFrontInTheStandardForm) {
  ApiService api;
  api::HttpResponse response;
  response.body = "secret";
  response.holds_secret = true;
  api.pipeline().Refuse(503, "overloaded", response);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, Errors("overloaded"));
  EXPECT_FALSE(response.holds_secret);
}

TEST(Pipeline, LimitsWhoAsksTooMuchAndSaysWhenToComeBack) {
  ApiService api;
  RateLimitSettings settings;
  settings.Of(RouteClass::kKeys, LimitScope::kPrincipal) = {.requests = 1, .burst = 1};
  api.limits.rate.Configure(settings);
  EXPECT_EQ(api.Post("/v1/dev/keys/app").status, 200);
  const ApiAnswer answer = api.Post("/v1/dev/keys/app");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.body, Errors("request path \"dev/keys/app\": rate limit quota exceeded"));
  EXPECT_THAT(answer.headers, ::testing::Contains(::testing::Pair("Retry-After", "1")));
  EXPECT_EQ(api.Get("/v1/sys/mounts").status, 200);  // another class of routes
}

TEST(Pipeline, RefusesBodiesAboveItsLimit) {
  ApiService api({.max_body_bytes = 10});
  const ApiAnswer answer = api.Post("/v1/dev/keys/app", "{\"type\":\"aes256-gcm96\"}");
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body, Errors("http: request body too large"));
}

}  // namespace
}  // namespace kms::testing
