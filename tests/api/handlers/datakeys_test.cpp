// SPDX-License-Identifier: Apache-2.0
// POST datakeys: many data keys in one call, each as datakey makes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DataKeys, AreDistinctAndDecryptToTheKeysTheyReveal) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer made = api.Post("/v1/dev/datakeys/plaintext/app",
                                  R"({"count":5,"bits":128,"associated_data":"cm93","checksum":true})");
  ASSERT_EQ(made.status, 200);
  EXPECT_TRUE(made.holds_secret);
  const auto data = nlohmann::json::parse(made.body)["data"];
  EXPECT_EQ(data["key_version"], 1);
  EXPECT_EQ(data.size(), 2U);
  ASSERT_EQ(data["key_pairs"].size(), 5U);
  std::set<std::string> keys;
  for (const auto& pair : data["key_pairs"]) {
    EXPECT_EQ(pair.size(), 4U);
    const std::string body = R"({"associated_data":"cm93","checksum":true,"ciphertext":)" +
                             pair["ciphertext"].dump() + "}";
    const auto opened =
        nlohmann::json::parse(api.Post("/v1/dev/decrypt/app", body).body)["data"];
    EXPECT_EQ(opened["plaintext"], pair["plaintext"]);
    EXPECT_EQ(opened["plaintext_crc32c"], pair["plaintext_crc32c"]);
    keys.insert(pair["plaintext"].get<std::string>());
  }
  EXPECT_EQ(keys.size(), 5U);
  EXPECT_THAT(api.audit.records().at(api.audit.records().size() - 6), HasSubstr(R"("items":5)"));
}

TEST(DataKeys, WrappedRevealNothing) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer made = api.Post("/v1/dev/datakeys/wrapped/app", R"({"count":"2"})");
  ASSERT_EQ(made.status, 200);
  EXPECT_FALSE(made.holds_secret);
  EXPECT_THAT(made.body, Not(HasSubstr("plaintext")));
  EXPECT_THAT(made.body, HasSubstr(R"("data":{"key_pairs":[{"ciphertext":"vault:v1:)"));
}

TEST(DataKeys, TakeContextAndVersion) {
  ApiService api;
  api.Post("/v1/dev/keys/derived", R"({"derived":true})");
  api.Post("/v1/dev/keys/derived/rotate");
  const ApiAnswer made = api.Post("/v1/dev/datakeys/wrapped/derived",
                                  R"({"count":1,"context":"YQ==","key_version":1})");
  EXPECT_THAT(made.body, HasSubstr(R"([{"ciphertext":"vault:v1:)"));
  EXPECT_THAT(made.body, HasSubstr(R"(}],"key_version":1})"));
}

TEST(DataKeys, RefuseWhatDatakeyRefusesAndWrongCounts) {
  ApiService api({.max_batch_items = 20});
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/keys/signer", R"({"type":"ed25519"})");
  const std::tuple<const char*, const char*, const char*> rows[] = {
      {"plaintext/app", "{}", "missing count of data keys"},
      {"plaintext/app", R"({"count":0})", "'count' must be between 1 and 20"},
      {"plaintext/app", R"({"count":-1})", "'count' must be between 1 and 20"},
      {"plaintext/app", R"({"count":21})", "'count' must be between 1 and 20"},
      {"plaintext/app", R"({"count":1,"bits":100})", "invalid bit length"},
      {"plaintext/app", R"({"count":1,"context":"!"})", "failed to base64-decode context"},
      {"plaintext/app", R"({"count":1,"nonce":"AAAA"})", "nonce provided when not allowed"},
      {"plaintext/app", R"({"count":1,"key_version":9})",
       "requested version for encryption is higher than the latest key version"},
      {"clear/app", R"({"count":1})", "Invalid path, must be 'plaintext' or 'wrapped'"},
      {"plaintext/none", R"({"count":1})", "encryption key not found"},
      {"plaintext/signer", R"({"count":1})", "message encryption not supported for key type ed25519"},
  };
  for (const auto& [target, body, text] : rows) {
    const ApiAnswer answer = api.Post("/v1/dev/datakeys/" + std::string(target), body);
    EXPECT_EQ(answer.status, 400) << target << body;
    EXPECT_EQ(answer.body, Errors(text)) << target << body;
  }
  EXPECT_EQ(api.Post("/v1/dev/datakeys/wrapped/app", R"({"count":20})").status, 200);
}

}  // namespace
}  // namespace kms::testing
