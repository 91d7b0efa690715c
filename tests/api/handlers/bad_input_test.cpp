// SPDX-License-Identifier: Apache-2.0
// Bad input over every row of the route table: never a 5xx, never the payload in the answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/route_requests.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kCanary = "s3cr3t-c4n4ry";

// The three refusals that clients tell by a 500 (transit-api 8.3).
bool IsContracts500(const ApiAnswer& answer) {
  return answer.status == 500 &&
         (answer.body.contains("exporting is disallowed on the policy") ||
          answer.body.contains("plaintext backup is disallowed on the policy") ||
          answer.body.contains("already exists"));
}

// What a good answer shows by design: who asked already has it.
const std::set<std::string_view> kShownBack = {"id", "policies", "secret_id", "token"};

void ExpectRefusedOrNormal(const ApiAnswer& answer, const std::string& what,
                           std::string_view field = {}) {
  EXPECT_TRUE(answer.status < 500 || IsContracts500(answer)) << what << ": " << answer.body;
  if (answer.status >= 400 || !kShownBack.contains(field)) {
    EXPECT_THAT(answer.body, Not(HasSubstr(std::string(kCanary)))) << what;
  }
}

// Free texts and maps are stored and shown by design, and the name of an algorithm, format or type
// is repeated when it is unknown, as the contract's texts have it; their values are no payload.
const std::set<std::string_view> kRepeated = {"description",
                                              "options",
                                              "type",
                                              "algorithm",
                                              "format",
                                              "hash_algorithm",
                                              "key_derivation_algorithm",
                                              "derived_key_type",
                                              "marshaling_algorithm",
                                              "path",
                                              "paths",
                                              "salt_length"};

bool EndsTheSession(const api::Route& route) {
  return route.pattern == "auth/token/revoke-self";  // would end the test's own token
}

// Values of every wrong type; strings hold the canary.
const std::vector<std::string>& WrongValues() {
  static const std::vector<std::string> values = {"true",
                                                  "7",
                                                  "-7",
                                                  "1.5",
                                                  "1e999",
                                                  "-0",
                                                  "12345678901234567890123",
                                                  "[]",
                                                  "{}",
                                                  "null",
                                                  R"(["s3cr3t-c4n4ry"])",
                                                  R"({"s3cr3t-c4n4ry":1})",
                                                  R"("s3cr3t-c4n4ry")",
                                                  R"("")",
                                                  R"("\ud800 s3cr3t-c4n4ry")",
                                                  R"([[[[1]]]])",
                                                  R"([{"plaintext":7,"ciphertext":7}])"};
  return values;
}

TEST(BadInput, A4_WrongTypesForEveryFieldOfEveryRoute) {
  ApiService api;
  api.EnableEveryAuthMethod();
  api.Post("/v1/dev/keys/app");
  for (const api::Route& route : api::RouteTable()) {
    if (EndsTheSession(route) || route.operation != api::Operation::kUpdate) {
      continue;
    }
    for (const api::FieldSpec& spec : route.fields) {
      if (kRepeated.contains(spec.name)) {
        continue;
      }
      for (const std::string& value : WrongValues()) {
        const std::string body = "{\"" + std::string(spec.name) + "\":" + value + "}";
        const ApiAnswer answer = api.CallOnLoop(ApiService::WithToken(RequestOf(route, body)));
        ExpectRefusedOrNormal(answer, std::string(route.pattern) + " " + body, spec.name);
      }
    }
  }
}

TEST(BadInput, A1_BrokenBodiesOnEveryRoute) {
  const std::vector<std::string> bodies = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           "{{",
                                           "{]",
                                           "\"",
                                           "{\"",
                                           "{\"a",
                                           "{\"a\"",
                                           "{\"a\":",
                                           "{\"a\":}",
                                           "{\"a\":1,}",
                                           "{,}",
                                           "{\"a\" 1}",
                                           "{'a':1}",
                                           "nul",
                                           "nulls",
                                           "truefalse",
                                           "tru",
                                           "1 2",
                                           "-",
                                           "{\"plaintext\":\"s3cr3t-c4n4ry",
                                           "{\"plaintext\":s3cr3t-c4n4ry}",
                                           "{\"s3cr3t-c4n4ry\"",
                                           "\xEF\xBB\xBF{}",
                                           std::string("{}\0s3cr3t-c4n4ry", 16),
                                           "{\"plaintext\":\"\xFF\xFEs3cr3t-c4n4ry\"}",
                                           "{\"plaintext\":\"s3cr3t-c4n4ry\n\"}",
                                           "{} s3cr3t-c4n4ry",
                                           "s3cr3t-c4n4ry",
                                           std::string(1, '\0'),
                                           "{\"a\":\"\\x\"}",
                                           "{\"a\":\"\\u12\"}",
                                           "{\"a\":01}",
                                           "{\"a\":+1}",
                                           "{\"a\":1.}",
                                           "{\"a\":NaN}"};
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const api::Route& route : api::RouteTable()) {
    if (EndsTheSession(route)) {
      continue;
    }
    for (const std::string& body : bodies) {
      ApiRequest request = RequestOf(route);
      request.body = body;
      ExpectRefusedOrNormal(api.CallOnLoop(ApiService::WithToken(request)),
                            std::string(route.pattern) + " " + body);
    }
  }
}

TEST(BadInput, A2_RepeatedPayloadNamesAreRefused) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const char* body :
       {R"({"plaintext":"","plaintext":""})", R"({"ciphertext":"a","ciphertext":"b"})",
        R"({"name":"a","name":"b","plaintext":""})", R"({"plaintext":"","plain\u0074ext":""})",
        R"({"batch_input":[{"plaintext":"","plaintext":""}]})"}) {
    for (const char* verb : {"encrypt", "decrypt", "rewrap"}) {
      const ApiAnswer answer = api.CallOnLoop(ApiService::WithToken(
          {api::HttpMethod::kPost, "/v1/dev/" + std::string(verb) + "/app", body, {}}));
      EXPECT_EQ(answer.status, 400) << body;
      EXPECT_THAT(answer.body, HasSubstr("duplicate key")) << body;
    }
  }
}

TEST(BadInput, A3_P13_DeepAndWideBodiesAreRefusedBeforeTheyAreBuilt) {
  std::string wide = "{\"batch_input\":[";
  for (int i = 0; i < 150'000; ++i) {
    wide += "{},";
  }
  std::string strings = "{\"batch_input\":[";
  for (int i = 0; i < 1'000'000; ++i) {
    strings += "\"\",";
  }
  const std::vector<std::string> bodies = {
      "{\"batch_input\":" + std::string(100'000, '['), "{\"a\":" + std::string(100'000, '['),
      wide + "{}]}", strings + "\"\"]}", "{\"a\":" + std::string(10'000, '9') + "}"};
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const std::string& body : bodies) {
    const ApiAnswer answer = api.CallOnLoop(
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/encrypt/app", body, {}}));
    EXPECT_EQ(answer.status, 400) << body.substr(0, 40);
    EXPECT_THAT(answer.body, HasSubstr("refused JSON input due to high complexity"));
  }
}

TEST(BadInput, A5_Base64HasOneDocumentedRule) {
  struct Row {
    const char* plaintext;
    int status;
  };
  const Row rows[] = {{"aGk=", 200},    {"", 200},      {"aGk", 400},   {"aG k=", 400},
                      {"a_-=", 400},    {"aGk=x", 400}, {"aGk==", 400}, {"====", 400},
                      {"aG\\nk=", 200}, {"aGl=", 200}};
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const Row& row : rows) {
    const ApiAnswer answer = api.CallOnLoop(
        ApiService::WithToken({api::HttpMethod::kPost,
                               "/v1/dev/encrypt/app",
                               R"({"plaintext":")" + std::string(row.plaintext) + "\"}",
                               {}}));
    EXPECT_EQ(answer.status, row.status) << row.plaintext << answer.body;
  }
}

TEST(BadInput, A6_BrokenCiphertextsAreRefused) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const char* ciphertext :
       {"vault:v0:AAAA", "vault:v-1:AAAA", "vault:v01:AAAA", "vault:v+1:AAAA",
        "vault:v4294967297:AAAA", "vault:v99999999999999999999:AAAA", "vault:v1:", "vault:v1",
        "vault:", "", "vault:v1:AAAAAAAAAAAAAAAA", "VAULT:v1:AAAA", "vault:v1:AAAA:AAAA",
        "other:v1:AAAA", "vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    for (const char* verb : {"decrypt", "rewrap"}) {
      const ApiAnswer answer = api.CallOnLoop(
          ApiService::WithToken({api::HttpMethod::kPost,
                                 "/v1/dev/" + std::string(verb) + "/app",
                                 R"({"ciphertext":")" + std::string(ciphertext) + "\"}",
                                 {}}));
      EXPECT_EQ(answer.status, 400) << ciphertext;
    }
  }
}

TEST(BadInput, A15_OtherVerbsAreNotRoutedAndOverridesAreIgnored) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const api::Route& route : api::RouteTable()) {
    for (const auto method :
         {api::HttpMethod::kOptions, api::HttpMethod::kPatch, api::HttpMethod::kScan}) {
      ApiRequest request = RequestOf(route);
      request.method = method;
      const ApiAnswer answer = api.Call(ApiService::WithToken(request));
      EXPECT_EQ(answer.status, 405) << route.pattern;
      EXPECT_EQ(answer.body, "{\"errors\":[]}\n") << route.pattern;
    }
  }
  ApiRequest request{api::HttpMethod::kGet, "/v1/dev/keys/app?_method=DELETE", "", {}};
  request.headers.emplace_back("X-HTTP-Method-Override", "DELETE");
  EXPECT_EQ(api.Call(ApiService::WithToken(request)).status, 200);
  EXPECT_EQ(api.Get("/v1/dev/keys/app").status, 200);
}

TEST(BadInput, A16_ThePathBeatsTheBodyAndTheQueryOfAWriteIsIgnored) {
  ApiService api;
  const ApiAnswer answer = api.Post("/v1/dev/keys/app?name=query", R"({"name":"body"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("name":"app")"));
  EXPECT_THAT(answer.body, HasSubstr("Endpoint replaced the value of these parameters with the "
                                     "values captured from the endpoint's path: [name]"));
  EXPECT_EQ(api.Get("/v1/dev/keys/body").status, 404);
  EXPECT_EQ(api.Get("/v1/dev/keys/query").status, 404);
}

TEST(BadInput, A20_NaughtyNamesAreRefusedEverywhere) {
  ApiService api;
  api.EnableEveryAuthMethod();
  for (const api::Route& route : api::RouteTable()) {
    if (EndsTheSession(route) || route.pattern.find("{name}") == std::string_view::npos) {
      continue;
    }
    for (const char* name :
         {"-a", "a-", ".a", "a b", "a%b", "a'b", "a;b", "a\"b", "<a>", "\xC3\xA9",
          "a\xE2\x80\xA8"
          "b",
          "null.", "$(id)"}) {
      ApiRequest request = RequestOf(route, R"({"plaintext":"","ciphertext":"vault:v1:AAAA"})");
      request.target = TargetOf(route, name);
      const ApiAnswer answer = api.CallOnLoop(ApiService::WithToken(request));
      EXPECT_EQ(answer.status, 400) << request.target << answer.body;
    }
  }
}

TEST(BadInput, A18_FormsAreReadAsTheContractSays) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  ApiRequest form{api::HttpMethod::kPost, "/v1/dev/encrypt/app", "plaintext=aGk%3D", {}};
  form.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(api.CallOnLoop(ApiService::WithToken(form)).status, 200);
  form.body = R"({"plaintext":"aGk="})";  // JSON in spite of its type
  EXPECT_EQ(api.CallOnLoop(ApiService::WithToken(form)).status, 200);
  form.body = "plaintext=%ZZ";
  EXPECT_EQ(api.CallOnLoop(ApiService::WithToken(form)).status, 400);
}

}  // namespace
}  // namespace kms::testing
