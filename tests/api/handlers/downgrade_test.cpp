// SPDX-License-Identifier: Apache-2.0
// Versions that were retired stay retired: nothing decrypts below the minimum of decryption, nothing
// is made below the minimum of encryption, in either lane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kBelowEncryption = "is less than the minimum encryption key version";
constexpr const char* kBelowDecryption = "ciphertext or signature version is disallowed by policy";

struct Row {
  const char* what;
  const char* target;
  std::string body;
  const char* text;
};

TEST(Downgrade, C5_NoVersionBelowAMinimumIsUsed) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const auto made = [&](const char* target, const char* body, const char* member) {
    return TextAfter(api.Post(target, body).body, member);
  };
  const std::string old = made("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})",
                               R"("ciphertext":")");
  const std::string old_hmac = made("/v1/dev/hmac/app", R"({"input":"aGVsbG8="})", R"("hmac":")");
  for (int version = 2; version <= 4; ++version) {
    api.Post("/v1/dev/keys/app/rotate");
  }
  const std::string now = made("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})",
                               R"("ciphertext":")");
  ASSERT_EQ(api.Post("/v1/dev/keys/app/config",
                     R"({"min_decryption_version":2,"min_encryption_version":3})").status, 200);

  const std::string of_old = R"("ciphertext":")" + old + '"';
  const std::string of_now = R"("ciphertext":")" + now + '"';
  const Row rows[] = {
      {"encrypt", "/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8=","key_version":2})",
       kBelowEncryption},
      {"encrypt, archived", "/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8=","key_version":1})",
       kBelowEncryption},
      {"encrypt in a batch", "/v1/dev/encrypt/app",
       R"({"batch_input":[{"plaintext":"aGVsbG8=","key_version":2}]})", kBelowEncryption},
      {"decrypt", "/v1/dev/decrypt/app", "{" + of_old + "}", kBelowDecryption},
      {"decrypt in a batch", "/v1/dev/decrypt/app", R"({"batch_input":[{)" + of_old + "}]}",
       kBelowDecryption},
      {"rewrap from", "/v1/dev/rewrap/app", "{" + of_old + "}", kBelowDecryption},
      {"rewrap to", "/v1/dev/rewrap/app", "{" + of_now + R"(,"key_version":2})", kBelowEncryption},
      {"data key", "/v1/dev/datakey/plaintext/app", R"({"key_version":2})", kBelowEncryption},
      {"hmac", "/v1/dev/hmac/app", R"({"input":"aGVsbG8=","key_version":2})",
       "cannot generate HMAC: version is too old (disallowed by policy)"},
      {"verify", "/v1/dev/verify/app", R"({"input":"aGVsbG8=","hmac":")" + old_hmac + R"("})",
       "disallowed by policy"},
  };
  for (const Row& row : rows) {
    const ApiRequest request =
        ApiService::WithToken({api::HttpMethod::kPost, row.target, row.body, {}});
    for (const ApiAnswer& answer : {api.Call(request), api.CallOnLoop(request)}) {
      EXPECT_EQ(answer.status, 400) << row.what;
      EXPECT_THAT(answer.body, HasSubstr(row.text)) << row.what;
    }
  }
}

TEST(Downgrade, C18_TrimmedAndRetiredVersionsAreGoneFromTheHotLaneAtOnce) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  std::vector<std::string> requests;
  for (int version = 1; version <= 3; ++version) {
    const ApiAnswer answer = api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})");
    requests.push_back(R"({"ciphertext":")" + TextAfter(answer.body, R"("ciphertext":")") + R"("})");
    api.Post("/v1/dev/keys/app/rotate");
  }
  const auto decrypts = [&](std::size_t version) {
    return api
               .CallOnLoop(ApiService::WithToken(
                   {api::HttpMethod::kPost, "/v1/dev/decrypt/app", requests[version - 1], {}}))
               .status == 200;
  };
  for (std::size_t version = 1; version <= 3; ++version) {
    ASSERT_TRUE(decrypts(version));
  }

  api.Post("/v1/dev/keys/app/config", R"({"min_decryption_version":2,"min_encryption_version":2})");
  EXPECT_FALSE(decrypts(1));
  EXPECT_TRUE(decrypts(2));
  api.Post("/v1/dev/keys/app/config", R"({"min_decryption_version":3,"min_encryption_version":3})");
  ASSERT_EQ(api.Post("/v1/dev/keys/app/trim", R"({"min_available_version":3})").status, 200);
  EXPECT_FALSE(decrypts(2));
  EXPECT_TRUE(decrypts(3));
  ASSERT_TRUE(api.environments().Seal("dev", "the test says so").has_value());
  EXPECT_FALSE(decrypts(3));
}

}  // namespace
}  // namespace kms::testing
