// SPDX-License-Identifier: Apache-2.0
// hmac and verify: bodies, texts, batch rules (transit-api 6.15, 6.17, 7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/crypto/hash.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kHmac = "/v1/dev/hmac/app";
constexpr const char* kVerify = "/v1/dev/verify/app";

std::string HmacOf(ApiService& api, const std::string& body, const std::string& path = kHmac) {
  const ApiAnswer answer = api.Post(path, body);
  EXPECT_EQ(answer.status, 200) << answer.body;
  return TextAfter(answer.body, R"("hmac":")");
}

std::string With(std::string_view hmac, std::string_view more = R"("input":"aGk=")") {
  return R"({"hmac":")" + std::string(hmac) + "\"," + std::string(more) + "}";
}

class HmacApi : public ::testing::Test {
 protected:
  HmacApi() { api_.Post("/v1/dev/keys/app"); }

  // A key of five versions, of which 3 to 5 verify and 4 and 5 sign.
  void MakeVersions() {
    for (int i = 0; i < 4; ++i) {
      api_.Post("/v1/dev/keys/app/rotate");
    }
    api_.Post("/v1/dev/keys/app/config",
              R"({"min_decryption_version":3,"min_encryption_version":4})");
  }

  struct Row {
    const char* path;
    std::string body;
    const char* text;
  };
  void ExpectRefused(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      const ApiAnswer answer = api_.Post(row.path, row.body);
      EXPECT_EQ(answer.status, 400) << row.path << row.body;
      EXPECT_EQ(answer.body, Errors(row.text)) << row.path << row.body;
    }
  }

  ApiService api_;
};

TEST_F(HmacApi, RoundTripsThroughVerifyOnKeysOfEveryType) {
  for (const KeyTypeTraits& type : AllKeyTypes()) {
    const std::string name(type.name);
    api_.Post("/v1/dev/keys/k-" + name, R"({"type":")" + name + "\"}");
    const ApiAnswer made = api_.Post("/v1/dev/hmac/k-" + name, R"({"input":"aGk="})");
    const std::string hmac = TextAfter(made.body, R"("hmac":")");
    EXPECT_THAT(hmac, StartsWith("vault:v1:")) << name;
    EXPECT_EQ(WithoutRequestId(made.body), Envelope(R"({"hmac":")" + hmac + "\"}"));
    const ApiAnswer good = api_.Post("/v1/dev/verify/k-" + name, With(hmac));
    EXPECT_EQ(WithoutRequestId(good.body), Envelope(R"({"valid":true})"));
    const ApiAnswer bad = api_.Post("/v1/dev/verify/k-" + name, With(hmac, R"("input":"aGkh")"));
    EXPECT_EQ(bad.status, 200);
    EXPECT_EQ(WithoutRequestId(bad.body), Envelope(R"({"valid":false})"));
  }
}

TEST_F(HmacApi, EveryHashInBothFormsOfTheUrl) {
  for (const HashTraits& hash : AllHashes()) {
    const std::string name(hash.name);
    const std::string by_url = HmacOf(api_, R"({"input":"aGk="})", kHmac + ("/" + name));
    EXPECT_EQ(HmacOf(api_, R"({"input":"aGk=","algorithm":")" + name + "\"}"), by_url);
    EXPECT_THAT(api_.Post(kVerify + ("/" + name), With(by_url)).body,
                HasSubstr(R"("valid":true)"));
    EXPECT_THAT(
        api_.Post(kVerify, With(by_url, R"("input":"aGk=","hash_algorithm":")" + name + "\"")).body,
        HasSubstr(R"("valid":true)"));
  }
}

TEST_F(HmacApi, TheAliasCountsOnlyWhereTheNameIsSentEmpty) {
  const std::string hmac = HmacOf(api_, R"({"input":"aGk=","algorithm":"sha2-512"})");
  const auto valid = [&](const std::string& more) {
    return api_.Post(kVerify, With(hmac, R"("input":"aGk=",)" + more)).body;
  };
  EXPECT_THAT(valid(R"("algorithm":"sha2-512")"), HasSubstr(R"("valid":false)"));
  EXPECT_THAT(valid(R"("hash_algorithm":"","algorithm":"sha2-512")"),
              HasSubstr(R"("valid":true)"));
}

TEST_F(HmacApi, TheEmptyInputIsAnInput) {
  const std::string hmac = HmacOf(api_, R"({"input":""})");
  EXPECT_THAT(api_.Post(kVerify, With(hmac, R"("input":"")")).body, HasSubstr(R"("valid":true)"));
}

TEST_F(HmacApi, VersionsAreChosenAsNumberOrText) {
  MakeVersions();
  EXPECT_THAT(HmacOf(api_, R"({"input":"aGk="})"), StartsWith("vault:v5:"));
  EXPECT_THAT(HmacOf(api_, R"({"input":"aGk=","key_version":"4"})"), StartsWith("vault:v4:"));
}

TEST_F(HmacApi, RefusesWithTheTextsOfTheContract) {
  MakeVersions();
  ExpectRefused({
      {"/v1/dev/hmac/none", R"({"input":""})", "encryption key not found"},
      {kHmac, "{}", "missing input for HMAC"},
      {kHmac, R"({"input":null})", "missing input for HMAC"},
      {kHmac, R"({"input":"a"})",
       "unable to decode input as base64: illegal base64 data at input byte 1"},
      {kHmac, R"({"input":"","algorithm":"none"})", "unsupported algorithm none"},
      {"/v1/dev/hmac/app/md5", R"({"input":""})", "unsupported algorithm md5"},
      {kHmac, R"({"input":"","key_version":3})",
       "cannot generate HMAC: version is too old (disallowed by policy)"},
      {kHmac, R"({"input":"","key_version":6})",
       "key version does not exist; latest key version is 5"},
      {kHmac, R"({"batch_input":[]})", "missing batch input to process"},
      {kHmac, R"({"batch_input":"x"})",
       "failed to parse batch input: source data must be an array or slice"},
      {kHmac, R"({"batch_input":[{"input":"","n":7},3]})",
       "failed to parse batch input: [0] expected strings, got 1 of another type\n"
       "[1] expected a map"},
      {kHmac, R"({"batch_input":[{"input":""}],"key_version":3})",
       "cannot generate HMAC: version is too old (disallowed by policy)"},
  });
  api_.Post("/v1/dev/keys/app/config", R"({"min_encryption_version":0})");
  ExpectRefused({
      {kHmac, R"({"input":"","key_version":-1})",
       "key version does not exist (cannot be negative)"},
      {kHmac, R"({"input":"","key_version":2})", "no such key version"},
  });
}

TEST_F(HmacApi, VerifyRefusesWithTheTextsOfTheContract) {
  MakeVersions();
  const auto batch = [](const std::string& items) { return R"({"batch_input":[)" + items + "]}"; };
  ExpectRefused({
      {kVerify, "{}", "neither a 'signature' nor an 'hmac' were given to verify"},
      {kVerify, R"({"hmac":null})", "neither a 'signature' nor an 'hmac' were given to verify"},
      {kVerify, R"({"hmac":"","signature":"s"})", "provide one of 'signature' or 'hmac'"},
      {kVerify, batch(""), "missing batch input to process"},
      {kVerify, batch(R"({"hmac":"a"},{"signature":"b"})"),
       "elements of batch_input must all provide 'signature' or all provide 'hmac'"},
      {kVerify, batch(R"({"hmac":"a"},{})"), "some elements of batch_input are missing 'hmac'"},
      {kVerify, batch(R"({"signature":"a"},{"input":""})"),
       "some elements of batch_input are missing 'signature'"},
      {kVerify, batch(R"({"input":""},{})"),
       "no batch_input elements have 'signature' or 'hmac'"},
      {"/v1/dev/verify/none", R"({"signature":"s"})", "signature verification key not found"},
      {kVerify, R"({"signature":"vault:v1:AAAA"})",
       "key type aes256-gcm96 does not support verification"},
      {kVerify, batch(R"({"signature":"s"})"),
       "key type aes256-gcm96 does not support verification"},
      {"/v1/dev/verify/none", R"({"hmac":"h"})", "encryption key not found"},
      {kVerify, R"({"hmac":"h","hash_algorithm":"none"})", "unsupported algorithm none"},
      {"/v1/dev/verify/app/md5", R"({"hmac":"h"})", "unsupported algorithm md5"},
      {kVerify, R"({"hmac":"h","input":"a"})",
       "unable to decode input as base64: illegal base64 data at input byte 1"},
      {kVerify, R"({"hmac":""})", "invalid HMAC to verify: no prefix"},
      {kVerify, R"({"hmac":"vault:v3"})", "invalid HMAC: wrong number of fields"},
      {kVerify, R"({"hmac":"vault:vx:AAAA"})",
       "invalid HMAC: version number could not be decoded"},
      {kVerify, R"({"hmac":"vault:v6:AAAA"})", "invalid HMAC: version is too new"},
      {kVerify, R"({"hmac":"vault:v2:AAAA"})",
       "cannot verify HMAC: version is too old (disallowed by policy)"},
      {kVerify, R"({"hmac":"vault:v3:A"})",
       "unable to decode verification HMAC as base64: illegal base64 data at input byte 1"},
  });
}

TEST_F(HmacApi, ABatchAnswers200WithItsErrorsAmongTheResults) {
  const std::string one = HmacOf(api_, R"({"input":"MQ=="})");
  const ApiAnswer answer = api_.Post(kHmac, R"({"input":"ignored","batch_input":[
      {"input":"MQ==","reference":"a"},{"reference":"b"},{"input":"!"},{"input":"MQ=="}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      WithoutRequestId(answer.body),
      Envelope(R"({"batch_results":[{"hmac":")" + one + R"(","reference":"a"},)" +
               R"({"error":"missing input for HMAC","reference":"b"},)" +
               R"({"error":"unable to decode input as base64: illegal base64 data at input byte 0",)" +
               R"("reference":""},{"hmac":")" + one + R"(","reference":""}]})"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("failed_items":2)"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("items":4)"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("status":200)"));
}

TEST_F(HmacApi, ABatchTakesVersionAndHashFromTheTop) {
  MakeVersions();
  const std::string one = HmacOf(api_, R"({"input":"MQ==","key_version":4,"algorithm":"sha1"})");
  EXPECT_THAT(one, StartsWith("vault:v4:"));
  EXPECT_THAT(api_.Post("/v1/dev/hmac/app/sha1",
                        R"({"key_version":4,"batch_input":[{"input":"MQ=="}]})")
                  .body,
              HasSubstr(one));
}

TEST_F(HmacApi, AVerifyBatchSaysValidOnlyWhereItIs) {
  const std::string one = HmacOf(api_, R"({"input":"MQ=="})");
  const std::string item = R"({"hmac":")" + one + R"(","input":)";
  const ApiAnswer answer =
      api_.Post(kVerify, R"({"batch_input":[)" + item + R"("MQ==","reference":"a"},)" + item +
                             R"("Mg=="},)" + R"({"hmac":")" + one +
                             R"("},{"hmac":"x","input":""}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"batch_results":[{"valid":true,"reference":"a"},{"reference":""},)"
                     R"({"error":"missing input","reference":""},)"
                     R"({"error":"invalid HMAC to verify: no prefix","reference":""}]})"));
}

TEST_F(HmacApi, ABatchHasALimit) {
  std::string items;
  for (int i = 0; i < 10'000; ++i) {
    items += R"({"input":""},)";
  }
  EXPECT_EQ(api_.Post(kHmac, R"({"batch_input":[)" + items + R"({"input":""}]})").body,
            Errors("batch_input has more than 10000 items"));
}

TEST_F(HmacApi, NothingIsCreatedOnDemand) {
  api_.Post("/v1/dev/hmac/fresh", R"({"input":""})");
  EXPECT_EQ(api_.Get("/v1/dev/keys/fresh").status, 404);
}

TEST_F(HmacApi, L13_TheRecordNamesKeyAndVersionAndHoldsNoHmac) {
  const std::string hmac = HmacOf(api_, R"({"input":"Y2FuYXJ5"})");
  api_.Post(kVerify, With(hmac, R"("input":"Y2FuYXJ5")"));
  const auto records = api_.audit.records();
  for (const std::string& record : {records.back(), records[records.size() - 2]}) {
    EXPECT_THAT(record, HasSubstr(R"("key":{"name":"app","version":1})"));
    EXPECT_THAT(record, ::testing::Not(HasSubstr(hmac.substr(9))));
    EXPECT_THAT(record, ::testing::Not(HasSubstr("Y2FuYXJ5")));
  }
}

}  // namespace
}  // namespace kms::testing
