// SPDX-License-Identifier: Apache-2.0
// random and hash, below an environment and as sys/tools (transit-api 6.13, 6.14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPlaces[] = {"/v1/dev/", "/v1/sys/tools/"};

std::size_t RandomSize(const ApiAnswer& answer) {
  const Result<Bytes> bytes = Base64Decode(TextAfter(answer.body, R"("random_bytes":")"));
  return answer.status == 200 && bytes ? bytes->size() : 0;
}

TEST(Random, EveryFormOfTheUrlAnswers) {
  struct Row {
    const char* path;
    const char* body;
    std::size_t bytes;
  };
  const Row rows[] = {
      {"random", "{}", 32},
      {"random", R"({"bytes":8})", 8},
      {"random", R"({"bytes":"9"})", 9},
      {"random", R"({"bytes":131072})", 131'072},
      {"random/64", "{}", 64},
      {"random/64", R"({"bytes":8})", 64},
      {"random/seal", "{}", 32},
      {"random/seal", R"({"bytes":5000})", 5000},
      {"random/platform", R"({"bytes":1})", 1},
      {"random/all/16", "{}", 16},
      {"random/seal/16", R"({"bytes":8})", 16},
  };
  ApiService api;
  for (const char* place : kPlaces) {
    for (const Row& row : rows) {
      const ApiAnswer answer = api.Post(place + std::string(row.path), row.body);
      EXPECT_EQ(RandomSize(answer), row.bytes) << row.path << row.body << answer.status;
      EXPECT_TRUE(answer.holds_secret) << row.path;
    }
  }
}

TEST(Random, WritesHexOnDemand) {
  ApiService api;
  const ApiAnswer answer = api.Post("/v1/dev/random/16", R"({"format":"hex"})");
  const std::string text = TextAfter(answer.body, R"("random_bytes":")");
  EXPECT_THAT(text, ::testing::MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(text.size(), 32U);
  EXPECT_EQ(WithoutRequestId(answer.body), Envelope(R"({"random_bytes":")" + text + "\"}"));
}

TEST(Random, RefusesWithTheTextsOfTheContract) {
  struct Row {
    const char* path;
    const char* body;
    const char* text;
  };
  constexpr const char* kCount = "error parsing url-set byte count: not a decimal number";
  constexpr const char* kLittle = "'bytes' cannot be less than 1";
  constexpr const char* kMuch = "'bytes' should be less than 131072";
  const Row rows[] = {
      {"random/other", "{}", kCount},
      {"random/12x", "{}", kCount},
      {"random/seal/x", "{}", kCount},
      {"random/other/x", "{}", kCount},
      {"random/99999999999999999999", "{}", kCount},
      {"random/0", "{}", kLittle},
      {"random/-1", "{}", kLittle},
      {"random", R"({"bytes":0})", kLittle},
      {"random", R"({"bytes":""})", kLittle},
      {"random/131073", "{}", kMuch},
      {"random/seal/131073", "{}", kMuch},
      {"random", R"({"bytes":131073})", kMuch},
      {"random", R"({"format":"raw"})",
       R"(unsupported encoding format "raw"; must be "hex" or "base64")"},
      {"random/hsm/16", "{}",
       R"(unsupported entropy source "hsm"; must be "platform" or "seal", or "all")"},
      {"random", R"({"bytes":"many"})",
       R"(Field validation failed: error converting input for field "bytes": expected an integer)"},
  };
  ApiService api;
  for (const char* place : kPlaces) {
    for (const Row& row : rows) {
      const ApiAnswer answer = api.Post(place + std::string(row.path), row.body);
      EXPECT_EQ(answer.status, 400) << row.path << row.body;
      EXPECT_EQ(answer.body, Errors(row.text)) << row.path << row.body;
    }
  }
}

TEST(Random, TheBodyDoesNotChooseTheSource) {
  ApiService api;
  api.device.SetPresent(false);
  const ApiAnswer answer = api.Post("/v1/dev/random", R"({"source":"seal"})");
  EXPECT_EQ(RandomSize(answer), 32U);
  EXPECT_THAT(answer.body, HasSubstr("Endpoint replaced the value of these parameters with the "
                                     "values captured from the endpoint's path: [source]"));
}

TEST(Random, H18_ABrokenHsmGeneratorIsReportedAndThePlatformAnswers) {
  ApiService api;
  api.device.SetGenerator(
      [](MutableByteView out) { std::ranges::fill(out, std::uint8_t{0x42}); });
  for (const char* path : {"/v1/dev/random/seal", "/v1/dev/random/all/16"}) {
    const ApiAnswer answer = api.Post(path);
    EXPECT_EQ(answer.status, 503) << path;
    EXPECT_THAT(answer.body, HasSubstr("the HSM's random generator failed its repetition test"));
  }
  EXPECT_EQ(RandomSize(api.Post("/v1/dev/random/platform")), 32U);
}

TEST(Hash, MatchesFips202InBothFormsAndFormats) {
  ApiService api;
  constexpr const char* kHex = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532";
  for (const char* place : kPlaces) {
    const std::string hash = place + std::string("hash");
    EXPECT_EQ(TextAfter(api.Post(hash + "/sha3-256", R"({"input":"YWJj"})").body, R"("sum":")"),
              kHex);
    EXPECT_EQ(TextAfter(api.Post(hash, R"({"input":"YWJj","algorithm":"sha3-256"})").body,
                        R"("sum":")"),
              kHex);
    EXPECT_EQ(TextAfter(api.Post(hash, R"({"input":"YWJj","format":"base64"})").body,
                        R"("sum":")"),
              "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    EXPECT_EQ(TextAfter(api.Post(hash, R"({"input":""})").body, R"("sum":")"),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  }
}

TEST(Hash, TheUrlWinsAndSaysSo) {
  ApiService api;
  const ApiAnswer answer =
      api.Post("/v1/dev/hash/sha2-512", R"({"input":"YWJj","algorithm":"sha2-256"})");
  EXPECT_EQ(TextAfter(answer.body, R"("sum":")").size(), 128U);
  EXPECT_THAT(answer.body, HasSubstr("captured from the endpoint's path: [algorithm]"));
}

TEST(Hash, RefusesWithTheTextsOfTheContract) {
  struct Row {
    const char* path;
    const char* body;
    const char* text;
  };
  const Row rows[] = {
      {"hash", "{}", "input missing"},
      {"hash", R"({"input":null})", "input missing"},
      {"hash", R"({"input":"a"})",
       "unable to decode input as base64: illegal base64 data at input byte 1"},
      {"hash", R"({"input":"","algorithm":"md5"})", "unsupported algorithm md5"},
      {"hash", R"({"input":"","algorithm":"none"})", "unsupported algorithm none"},
      {"hash/sha1", R"({"input":""})", "unsupported algorithm sha1"},
      {"hash", R"({"input":"","format":"raw"})",
       R"(unsupported encoding format "raw"; must be "hex" or "base64")"},
  };
  ApiService api;
  for (const char* place : kPlaces) {
    for (const Row& row : rows) {
      const ApiAnswer answer = api.Post(place + std::string(row.path), row.body);
      EXPECT_EQ(answer.status, 400) << row.path << row.body;
      EXPECT_EQ(answer.body, Errors(row.text)) << row.path << row.body;
    }
  }
}

TEST(Hash, RepeatsNoMoreOfAWrongNameThanItsBeginning) {
  ApiService api;
  const ApiAnswer answer =
      api.Post("/v1/dev/hash", R"({"input":"","algorithm":")" + std::string(5000, 'x') + "\"}");
  EXPECT_EQ(answer.body, Errors("unsupported algorithm " + std::string(64, 'x')));
}

TEST(Keyless, L13_RecordsHoldNoInputAndNoOutput) {
  ApiService api;
  api.Post("/v1/dev/hash", R"({"input":"Y2FuYXJ5"})");
  const std::string random =
      TextAfter(api.Post("/v1/dev/random/32").body, R"("random_bytes":")");
  ASSERT_FALSE(random.empty());
  for (const std::string& record : api.audit.records()) {
    EXPECT_THAT(record, Not(HasSubstr("Y2FuYXJ5")));
    EXPECT_THAT(record, Not(HasSubstr(random)));
  }
  EXPECT_THAT(api.audit.records().back(), HasSubstr("dev/random/32"));
}

}  // namespace
}  // namespace kms::testing
