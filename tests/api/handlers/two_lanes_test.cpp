// SPDX-License-Identifier: Apache-2.0
// The loop's lane answers what the pool's lane answers, or leaves the request to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

// Blanks out what is random: request id and everything behind "vault:vN:".
std::string Normalized(std::string body) {
  body = WithoutRequestId(std::move(body));
  for (const char* member :
       {R"("ciphertext":"vault:v1:)", R"("plaintext":"R)", R"("ciphertext_crc32c":)"}) {
    std::size_t at = 0;
    while ((at = body.find(member, at)) != std::string::npos) {
      at += std::string_view(member).size();
      body.replace(at, body.find_first_of("\",}", at) - at, "*");
    }
  }
  return body;
}

struct Lanes {
  explicit Lanes(ApiService& service) : api(service) {}

  // Asks both lanes; returns whether the loop answered itself.
  bool Compare(const std::string& target, const std::string& body) {
    const ApiRequest request =
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/" + target, body, {}});
    bool deferred = false;
    const ApiAnswer loop = api.CallOnLoop(request, &deferred);
    const ApiAnswer pool = api.Call(request);
    EXPECT_EQ(loop.status, pool.status) << target << " " << body;
    EXPECT_EQ(Normalized(loop.body), Normalized(pool.body)) << target << " " << body;
    EXPECT_EQ(loop.holds_secret, pool.holds_secret) << target << " " << body;
    EXPECT_EQ(loop.content_type, pool.content_type) << target << " " << body;
    return !deferred;
  }

  ApiService& api;
};

TEST(TwoLanes, AgreeOnPlainBodiesAndTheLoopAnswersThem) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/keys/derived", R"({"derived":true})");
  api.Post("/v1/dev/encrypt/derived", R"({"plaintext":"","context":"YQ=="})");  // leases uses
  Lanes lanes(api);
  const std::string c = TextAfter(
      api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})").body, R"("ciphertext":")");
  const std::pair<const char*, std::string> bodies[] = {
      {"encrypt/app", R"({"plaintext":"aGk="})"},
      {"encrypt/app", R"({"plaintext":""})"},
      {"encrypt/app", " {\t\"plaintext\" :\n\"aGk=\" , \"key_version\" : 1 } \n"},
      {"encrypt/app", R"({"associated_data":"cm93","context":"YQ==","plaintext":"aGk="})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"aGk=","reference":"a"},{"plaintext":"!"}]})"},
      {"encrypt/app",
       R"({"partial_failure_response_code":207,"batch_input":[{"plaintext":"!"},{"plaintext":""}]})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","key_version":7,"reference":"é"}]})"},
      {"decrypt/app", R"({"ciphertext":")" + c + "\"}"},
      {"decrypt/app", R"({"batch_input":[{"ciphertext":")" + c + R"("},{"ciphertext":"x"}]})"},
      {"rewrap/app", R"({"ciphertext":")" + c + "\"}"},
      {"rewrap/app", R"({"batch_input":[{"ciphertext":")" + c + R"("},{"ciphertext":"x"}]})"},
      {"encrypt/derived", R"({"plaintext":"aGk=","context":"YQ=="})"},
      {"encrypt/derived",
       R"({"batch_input":[{"plaintext":"aGk=","context":"YQ=="},{"plaintext":"","context":"!"}]})"},
      {"encrypt/derived", R"({"batch_input":[{"plaintext":"aGk="}]})"},
      {"decrypt/derived", R"({"batch_input":[{"ciphertext":")" + c + R"(","context":"YQ=="}]})"},
      {"rewrap/derived", R"({"batch_input":[{"ciphertext":")" + c + R"("}]})"},
      {"datakey/wrapped/derived", R"({"context":"YQ=="})"},
      {"datakey/wrapped/app", "{}"},
      {"datakey/wrapped/app", R"({"bits":512})"},
      {"encrypt/app", R"({"plaintext":"aGk=","plaintext_crc32c":4120762818})"},
      {"encrypt/app", R"({"checksum":false,"plaintext":"aGk="})"},
      {"encrypt/app",
       R"({"batch_input":[{"plaintext":"aGk=","plaintext_crc32c":1},{"plaintext":""}]})"},
      {"decrypt/app", R"({"checksum":true,"ciphertext":")" + c + "\"}"},
      {"decrypt/app", R"({"associated_data_crc32c":0,"ciphertext":")" + c + "\"}"},
      {"decrypt/app",
       R"({"batch_input":[{"ciphertext":")" + c + R"(","ciphertext_crc32c":-1}]})"},
      {"rewrap/app", R"({"batch_input":[{"ciphertext":")" + c + R"(","ciphertext_crc32c":7}]})"},
  };
  for (const auto& [target, body] : bodies) {
    EXPECT_TRUE(lanes.Compare(target, body)) << target << " " << body;
  }
}

TEST(TwoLanes, AgreeOnUnusualBodiesWhichTheLoopLeaves) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/keys/derived", R"({"derived":true})");
  Lanes lanes(api);
  const std::pair<const char*, std::string> bodies[] = {
      {"encrypt/derived", R"({"plaintext":"aGk="})"},
      {"encrypt/derived", R"({"plaintext":"aGk=","context":"!"})"},
      {"encrypt/derived", R"({"plaintext":"aGk=","context":7})"},
      {"datakey/wrapped/derived", "{}"},
      {"encrypt/app", ""},
      {"encrypt/app", "null"},
      {"encrypt/app", "{}"},
      {"encrypt/app", "{"},
      {"encrypt/app", R"({"plaintext":"aGk="}x)"},
      {"encrypt/app", R"({"plaintext":"aGk="}{"plaintext":"aGk="})"},
      {"encrypt/app", R"({"plaintext":"aGk=","unknown":1})"},
      {"encrypt/app", R"({"plaintext":"aG\u006b="})"},
      {"encrypt/app", R"({"pl\u0061intext":"aGk="})"},
      {"encrypt/app", R"({"plaintext":"aGk=","plaintext":""})"},
      {"encrypt/app", R"({"plaintext":7})"},
      {"encrypt/app", R"({"plaintext":null})"},
      {"encrypt/app", R"({"plaintext":"!"})"},
      {"encrypt/app", R"({"plaintext":"aGk=","key_version":"1"})"},
      {"encrypt/app", R"({"plaintext":"aGk=","key_version":1.0})"},
      {"encrypt/app", R"({"plaintext":"aGk=","key_version":99999999999999999999})"},
      {"encrypt/app", R"({"plaintext":"aGk=","key_version":null})"},
      {"encrypt/app", R"({"plaintext":"aGk=","batch_input":[{"plaintext":""}]})"},
      {"encrypt/app", R"({"plaintext":"aGk=","batch_input":null})"},
      {"encrypt/app", R"({"batch_input":[]})"},
      {"encrypt/app", R"({"batch_input":[{}]})"},
      {"encrypt/app", R"({"batch_input":[1]})"},
      {"encrypt/app", R"({"batch_input":[[{"plaintext":""}]]})"},
      {"encrypt/app", R"({"batch_input":{"plaintext":""}})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":""}],"partial_failure_response_code":"207"})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","context":"YQ=="},{"plaintext":""}]})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","reference":"a\nb"}]})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","reference":7}]})"},
      {"encrypt/app",
       R"({"partial_failure_response_code":7,"batch_input":[{"plaintext":""},{"plaintext":"!"}]})"},
      {"encrypt/app", "{\"plaintext\":\"aG\xFF\"}"},
      {"encrypt/app", "{\"plaintext\":\"a\nGk=\"}"},
      {"encrypt/app", R"(["plaintext"])"},
      {"encrypt/app", R"({"plaintext":"aGk=",})"},
      {"encrypt/app", R"({"plaintext":"aGk=" "key_version":1})"},
      {"encrypt/none-yet-a", R"({"plaintext":"aGk=","type":"rot13"})"},
      {"decrypt/app", R"({"ciphertext":""})"},
      {"decrypt/app", R"({"ciphertext":"x","key_version":1})"},
      {"decrypt/none", R"({"ciphertext":"x"})"},
      {"datakey/wrapped/app", R"({"bits":"512"})"},
      {"datakey/wrapped/app", R"({"bits":7})"},
      {"datakey/other/app", "{}"},
      {"encrypt/app", R"({"plaintext":"aGk=","plaintext_crc32c":1})"},
      {"encrypt/app", R"({"plaintext":"aGk=","plaintext_crc32c":"7"})"},
      {"encrypt/app", R"({"plaintext":"aGk=","plaintext_crc32c":1.5})"},
      {"encrypt/app", R"({"plaintext":"aGk=","ciphertext_crc32c":1})"},
      {"encrypt/app", R"({"plaintext":"aGk=","checksum":"true"})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","checksum":true}]})"},
      {"encrypt/app", R"({"plaintext_crc32c":1,"batch_input":[{"plaintext":""}]})"},
      {"encrypt/app", R"({"plaintext":"aGk=","nonce":""})"},
      {"encrypt/app", R"({"plaintext":"aGk=","nonce":"AAAA"})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","nonce":"AAAA"}]})"},
      {"encrypt/app", R"({"plaintext":"aGk=","padding_scheme":"oaep"})"},
      {"rewrap/app", R"({"ciphertext":"x","encrypt_padding_scheme":"oaep"})"},
      {"decrypt/app", R"({"ciphertext":"x","ciphertext_crc32c":1})"},
  };
  for (const auto& [target, body] : bodies) {
    EXPECT_FALSE(lanes.Compare(target, body)) << target << " " << body;
  }
}

TEST(TwoLanes, TheLoopLeavesColdKeysQueriesNamespacesAndLargeBodies) {
  ApiService api({.max_hot_body_bytes = 256});
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/encrypt/app", R"({"plaintext":""})");  // leases uses for the loop
  const auto deferred = [&api](ApiRequest request) {
    bool left = false;
    api.CallOnLoop(ApiService::WithToken(std::move(request)), &left);
    return left;
  };
  const std::string body = R"({"plaintext":"aGk="})";
  EXPECT_FALSE(deferred({api::HttpMethod::kPut, "/v1/dev/encrypt/app", body, {}}));
  EXPECT_TRUE(deferred({api::HttpMethod::kGet, "/v1/dev/encrypt/app", body, {}}));
  EXPECT_TRUE(deferred({api::HttpMethod::kPost, "/v1/dev/encrypt/app?x=1", body, {}}));
  EXPECT_TRUE(deferred(
      {api::HttpMethod::kPost, "/v1/transit/encrypt/app", body, {{"x-vault-namespace", "dev"}}}));
  EXPECT_TRUE(deferred(
      {api::HttpMethod::kPost, "/v1/dev/encrypt/app", body, {{"x-vault-wrap-ttl", "60"}}}));
  EXPECT_TRUE(deferred({api::HttpMethod::kPost, "/v1/dev/encrypt/app",
                        R"({"plaintext":")" + std::string(400, 'A') + "\"}", {}}));
  api.environments().Find("dev")->ForgetKey("app");
  EXPECT_TRUE(deferred({api::HttpMethod::kPost, "/v1/dev/encrypt/app", body, {}}));
  EXPECT_FALSE(deferred({api::HttpMethod::kPost, "/v1/dev/encrypt/app", body, {}}));
}

TEST(TwoLanes, TheLoopLeavesWhatNeedsALeaseAndAnswersAfterIt) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const auto deferred = [&api](const char* target, const char* body) {
    bool left = false;
    const ApiAnswer answer = api.CallOnLoop(
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/" + std::string(target), body, {}}),
        &left);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return left;
  };
  EXPECT_TRUE(deferred("encrypt/app", R"({"plaintext":"aGk="})"));
  EXPECT_FALSE(deferred("encrypt/app", R"({"plaintext":"aGk="})"));
  EXPECT_FALSE(deferred("datakey/wrapped/app", "{}"));
}

TEST(TwoLanes, NeitherUsesASoftDeletedKey) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string ciphertext = TextAfter(
      api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})").body, R"("ciphertext":")");
  const auto environment = api.environments().Find("dev");
  const KeyHandle key = *environment->FindKey(*KeyName::Parse("app"));
  KeyPolicy policy = key->policy();
  policy.soft_deleted = true;
  std::vector<KeyVersion> versions;
  versions.push_back(*key->versions().front().Clone());
  environment->PublishKey(
      std::make_shared<const Key>(*Key::Create(policy, std::move(versions))), 1'000'000);
  const std::string sealed = R"({"ciphertext":")" + ciphertext + "\"}";
  const std::pair<const char*, std::string> bodies[] = {
      {"encrypt/app", R"({"plaintext":"aGk="})"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"aGk="}]})"},
      {"decrypt/app", sealed},
      {"rewrap/app", sealed},
      {"datakey/plaintext/app", "{}"},
      {"datakeys/plaintext/app", R"({"count":2})"},
  };
  for (const auto& [target, body] : bodies) {
    const ApiAnswer answer = api.CallOnLoop(
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/" + std::string(target), body, {}}));
    EXPECT_EQ(answer.status, 400) << target;
    EXPECT_EQ(answer.body, Errors("refusing to use soft-deleted key")) << target;
  }
}

}  // namespace
}  // namespace kms::testing
