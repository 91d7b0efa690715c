// SPDX-License-Identifier: Apache-2.0
// encrypt, decrypt, rewrap, datakey: bodies, texts and batch rules (transit-api 6.9-6.12, 7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kHello = R"({"plaintext":"aGVsbG8gdHJhbnNpdA=="})";

std::string CiphertextOf(const ApiAnswer& answer) {
  return TextAfter(answer.body, R"("ciphertext":")");
}

std::string Encrypted(ApiService& api, std::string_view key = "app",
                      std::string body = std::string(kHello)) {
  return CiphertextOf(api.Post("/v1/dev/encrypt/" + std::string(key), std::move(body)));
}

TEST(Encrypt, RoundTripsThroughDecrypt) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer encrypted = api.Post("/v1/dev/encrypt/app", std::string(kHello));
  ASSERT_EQ(encrypted.status, 200);
  const std::string ciphertext = CiphertextOf(encrypted);
  EXPECT_THAT(ciphertext, StartsWith("vault:v1:"));
  EXPECT_EQ(WithoutRequestId(encrypted.body),
            Envelope(R"({"ciphertext":")" + ciphertext + R"(","key_version":1})"));
  const ApiAnswer decrypted =
      api.Post("/v1/dev/decrypt/app", R"({"ciphertext":")" + ciphertext + "\"}");
  EXPECT_EQ(WithoutRequestId(decrypted.body),
            Envelope(R"({"plaintext":"aGVsbG8gdHJhbnNpdA=="})"));
  EXPECT_TRUE(decrypted.holds_secret);
}

TEST(Encrypt, AllowsTheEmptyPlaintext) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string ciphertext = Encrypted(api, "app", R"({"plaintext":""})");
  EXPECT_EQ(WithoutRequestId(
                api.Post("/v1/dev/decrypt/app", R"({"ciphertext":")" + ciphertext + "\"}").body),
            Envelope(R"({"plaintext":""})"));
}

TEST(Encrypt, BindsAssociatedData) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string ciphertext =
      Encrypted(api, "app", R"({"plaintext":"aGVsbG8=","associated_data":"cm93LTc="})");
  const std::string good = R"({"associated_data":"cm93LTc=","ciphertext":")" + ciphertext + "\"}";
  EXPECT_EQ(api.Post("/v1/dev/decrypt/app", good).status, 200);
  const ApiAnswer bad =
      api.Post("/v1/dev/decrypt/app", R"({"ciphertext":")" + ciphertext + "\"}");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.body, Errors("cipher: message authentication failed"));
}

TEST(Encrypt, CreatesAMissingKeyOnlyWhereUpsertIsAllowed) {
  ApiService api;
  EXPECT_EQ(api.Post("/v1/dev/encrypt/fresh", std::string(kHello)).status, 200);
  EXPECT_EQ(api.Get("/v1/dev/keys/fresh").status, 200);
  api.Post("/v1/dev/config/keys", R"({"disable_upsert":true})");
  const ApiAnswer refused = api.Post("/v1/dev/encrypt/other", std::string(kHello));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, Errors("encryption key not found"));
  EXPECT_EQ(api.Get("/v1/dev/keys/other").status, 404);
}

TEST(Encrypt, RecordsAnUpsertBeforeAndAfter) {
  ApiService api;
  const std::size_t before = api.audit.records().size();
  api.Post("/v1/dev/encrypt/fresh", std::string(kHello));
  const auto records = api.audit.records();
  ASSERT_EQ(records.size(), before + 2);
  EXPECT_THAT(records[before], HasSubstr(R"("type":"request")"));
  EXPECT_THAT(records[before + 1], HasSubstr(R"("type":"response")"));
}

TEST(Rewrap, MovesToTheLatestVersionAndTakesAssociatedData) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string old =
      Encrypted(api, "app", R"({"plaintext":"aGVsbG8=","associated_data":"cm93LTc="})");
  api.Post("/v1/dev/keys/app/rotate");
  const ApiAnswer rewrapped = api.Post(
      "/v1/dev/rewrap/app", R"({"associated_data":"cm93LTc=","ciphertext":")" + old + "\"}");
  EXPECT_EQ(rewrapped.status, 200);
  EXPECT_THAT(CiphertextOf(rewrapped), StartsWith("vault:v2:"));
  EXPECT_THAT(rewrapped.body, HasSubstr(R"("key_version":2)"));
  EXPECT_FALSE(rewrapped.holds_secret);
}

TEST(DataKey, IsAnOrdinaryEncryptionOfTheKeyItReveals) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer made = api.Post("/v1/dev/datakey/plaintext/app", R"({"bits":128})");
  ASSERT_EQ(made.status, 200);
  EXPECT_TRUE(made.holds_secret);
  const std::string plaintext = TextAfter(made.body, R"("plaintext":")");
  EXPECT_EQ(plaintext.size(), 24U);  // 16 bytes in base64
  const ApiAnswer opened =
      api.Post("/v1/dev/decrypt/app", R"({"ciphertext":")" + CiphertextOf(made) + "\"}");
  EXPECT_EQ(TextAfter(opened.body, R"("plaintext":")"), plaintext);
}

TEST(DataKey, WrappedDoesNotRevealTheKey) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer made = api.Post("/v1/dev/datakey/wrapped/app");
  EXPECT_EQ(made.status, 200);
  EXPECT_THAT(made.body, Not(HasSubstr("plaintext")));
}

TEST(Decrypt, C8_ACiphertextOfAnotherEnvironmentIsRefused) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/prod/keys/app");
  const std::string body = R"({"ciphertext":")" + Encrypted(api) + "\"}";
  EXPECT_EQ(api.Post("/v1/dev/decrypt/app", body).status, 200);
  const ApiAnswer moved = api.Post("/v1/prod/decrypt/app", body);
  EXPECT_EQ(moved.status, 400);
  EXPECT_EQ(moved.body, Errors("cipher: message authentication failed"));
}

TEST(Decrypt, C6_AssociatedDataAndContextDoNotStandForEachOther) {
  ApiService api;
  api.Post("/v1/dev/keys/app", R"({"derived":true})");
  const auto members = [](std::string_view aad, std::string_view context) {
    return R"("associated_data":")" + std::string(aad) + R"(","context":")" +
           std::string(context) + R"(",)";
  };
  const std::string ciphertext =
      Encrypted(api, "app", "{" + members("cm93", "dGVuYW50") + R"("plaintext":"aGk="})");
  const std::string input = R"("ciphertext":")" + ciphertext + "\"}";
  EXPECT_EQ(api.Post("/v1/dev/decrypt/app", "{" + members("cm93", "dGVuYW50") + input).status, 200);
  for (const auto& [aad, context] : {std::pair("dGVuYW50", "cm93"), std::pair("", "dGVuYW50"),
                                     std::pair("cm93", "cm93"), std::pair("", "cm93dGVuYW50")}) {
    const ApiAnswer answer = api.Post("/v1/dev/decrypt/app", "{" + members(aad, context) + input);
    EXPECT_EQ(answer.status, 400) << aad << " " << context;
    EXPECT_EQ(answer.body, Errors("cipher: message authentication failed"));
  }
}

struct Row {
  const char* target;
  const char* body;
  const char* text;
};

TEST(CryptoEndpoints, AnswerUserErrorsWithTheContractsTexts) {
  const Row rows[] = {
      {"encrypt/app", "{}", "missing plaintext to encrypt"},
      {"encrypt/app", R"({"plaintext":null})", "missing plaintext to encrypt"},
      {"encrypt/app", R"({"plaintext":"!"})", "illegal base64 data at input byte 0"},
      {"encrypt/app", R"({"plaintext":"","key_version":-1})",
       "requested version for encryption is negative"},
      {"encrypt/app", R"({"plaintext":"","key_version":"9"})",
       "requested version for encryption is higher than the latest key version"},
      {"encrypt/app", R"({"plaintext":"","key_version":1})",
       "requested version for encryption is less than the minimum encryption key version"},
      {"encrypt/app", R"({"plaintext":"","associated_data":"!"})",
       "unable to get associated_data/additional_data from factory[0]: illegal base64 data at "
       "input byte 0"},
      {"encrypt/fresh", R"({"plaintext":"","type":"rsa-2048"})", "unknown key type rsa-2048"},
      {"encrypt/fresh", R"({"plaintext":"","type":"ecdsa-p256"})",
       "key type ecdsa-p256 not supported for this operation"},
      {"encrypt/fresh", R"({"plaintext":"","type":"ed25519"})", "unknown key type ed25519"},
      {"encrypt/fresh", R"({"plaintext":"","type":"hmac"})", "unknown key type hmac"},
      {"encrypt/fresh", R"({"plaintext":"","type":"ecdsa-p999"})",
       "key type ecdsa-p999 not supported for this operation"},
      {"encrypt/fresh", R"({"plaintext":"","convergent_encryption":true})",
       "convergent encryption requires derivation to be enabled, so context is required"},
      {"encrypt/app", R"({"batch_input":[]})", "missing batch input to process"},
      {"encrypt/app", R"({"batch_input":"x"})",
       "failed to parse batch input: source data must be an array or slice, got string"},
      {"encrypt/app", R"({"batch_input":[{}]})",
       "failed to parse batch input: '[0].plaintext' missing plaintext to encrypt"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":""},"x",{"plaintext":"","key_version":"x"}]})",
       "failed to parse batch input: [1] expected a map, got 'string'\n'[2].key_version' expected "
       "type 'int', got unconvertible type 'string'"},
      {"encrypt/app", R"({"batch_input":[{"plaintext":"","context":"YQ=="},{"plaintext":""}]})",
       "context should be set either in all the request blocks or in none"},
      {"decrypt/app", "{}", "missing ciphertext to decrypt"},
      {"decrypt/none", R"({"ciphertext":"vault:v1:AAAA"})", "encryption key not found"},
      {"decrypt/app", R"({"ciphertext":"AAAA"})", "invalid ciphertext: no prefix"},
      {"decrypt/app", R"({"ciphertext":"vault:v1"})",
       "invalid ciphertext: wrong number of fields"},
      {"decrypt/app", R"({"ciphertext":"vault:vx:AAAA"})",
       "invalid ciphertext: version number could not be decoded"},
      {"decrypt/app", R"({"ciphertext":"vault:v9:AAAA"})",
       "invalid ciphertext: version is too new"},
      {"decrypt/app", R"({"ciphertext":"vault:v1:AAAA"})",
       "ciphertext or signature version is disallowed by policy (too old)"},
      {"decrypt/app", R"({"ciphertext":"vault:v3:!"})",
       "invalid ciphertext: could not decode base64"},
      {"decrypt/app", R"({"batch_input":[{"context":""}]})",
       "failed to parse batch input: '[0].ciphertext' missing ciphertext to decrypt"},
      {"rewrap/app", "{}", "missing ciphertext to decrypt"},
      {"rewrap/none", R"({"ciphertext":"vault:v1:AAAA"})", "encryption key not found"},
      {"datakey/clear/app", "{}", "Invalid path, must be 'plaintext' or 'wrapped'"},
      {"datakey/wrapped/app", R"({"bits":100})", "invalid bit length"},
      {"datakey/wrapped/app", R"({"context":"!"})", "failed to base64-decode context"},
      {"datakey/wrapped/none", "{}", "encryption key not found"},
      {"encrypt/app", R"({"plaintext":"","plaintext":""})",
       "failed to decode JSON input: duplicate key \"plaintext\""},
      {"encrypt/app", R"({"plaintext":"","pl\u0061intext":""})",
       "failed to decode JSON input: duplicate key \"plaintext\""},
      {"encrypt/signer", R"({"plaintext":""})",
       "message encryption not supported for key type ed25519"},
      {"encrypt/signer", R"({"batch_input":[{"plaintext":""}]})",
       "message encryption not supported for key type ed25519"},
      {"decrypt/signer", R"({"ciphertext":"vault:v1:AAAA"})",
       "message decryption not supported for key type ed25519"},
      {"rewrap/signer", R"({"ciphertext":"vault:v1:AAAA"})",
       "message decryption not supported for key type ed25519"},
      {"datakey/wrapped/signer", "{}", "message encryption not supported for key type ed25519"},
      {"encrypt/app", R"({"plaintext":"","nonce":"AAAA"})", "nonce provided when not allowed"},
      {"decrypt/app", R"({"ciphertext":"vault:v2:AAAA","nonce":"AAAA"})",
       "nonce provided when not allowed"},
      {"rewrap/app", R"({"ciphertext":"vault:v2:AAAA","nonce":"AAAA"})",
       "nonce provided when not allowed"},
      {"datakey/wrapped/app", R"({"nonce":"AAAA"})", "nonce provided when not allowed"},
      {"encrypt/app", "[]", "failed to decode JSON input: expected an object"},
      {"encrypt/app", "{", "failed to decode JSON input: unexpected end of JSON input"},
      {"encrypt/app", R"({"plaintext" "x"})", "failed to decode JSON input: malformed JSON"},
  };
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/keys/signer", R"({"type":"ed25519"})");
  api.Post("/v1/dev/keys/app/rotate");
  api.Post("/v1/dev/keys/app/rotate");
  api.Post("/v1/dev/keys/app/config", R"({"min_decryption_version":2,"min_encryption_version":2})");
  for (const Row& row : rows) {
    for (const bool loop : {false, true}) {
      const ApiRequest request = ApiService::WithToken(
          {api::HttpMethod::kPost, "/v1/dev/" + std::string(row.target), row.body, {}});
      const ApiAnswer answer = loop ? api.CallOnLoop(request) : api.Call(request);
      EXPECT_EQ(answer.status, 400) << row.target << " " << row.body;
      EXPECT_EQ(answer.body, Errors(row.text)) << row.target << " " << row.body;
    }
  }
}

// ---- batches -----------------------------------------------------------------------------------

TEST(Batch, KeepsOrderAndEchoesReferences) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string one = Encrypted(api, "app", R"({"plaintext":"b25l"})");
  const std::string two = Encrypted(api, "app", R"({"plaintext":"dHdv"})");
  const ApiAnswer answer =
      api.Post("/v1/dev/decrypt/app", R"({"batch_input":[{"ciphertext":")" + two +
                                          R"(","reference":"b"},{"ciphertext":")" + one + R"("}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"batch_results":[{"plaintext":"dHdv","reference":"b"},)"
                     R"({"plaintext":"b25l","reference":""}]})"));
}

TEST(Batch, A14_OneBadItemAmongAThousandIs400WithTheOrdinaryEnvelope) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  std::string body = R"({"batch_input":[)";
  for (int i = 0; i < 1000; ++i) {
    body += i == 0 ? "" : ",";
    body += i == 500 ? R"({"plaintext":"!","reference":"bad"})" : R"({"plaintext":"aGk="})";
  }
  const ApiAnswer answer = api.Post("/v1/dev/encrypt/app", body + "]}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body,
              HasSubstr(R"({"error":"illegal base64 data at input byte 0","reference":"bad"})"));
  EXPECT_THAT(answer.body, Not(HasSubstr("errors")));
  EXPECT_THAT(api.audit.records().back(), HasSubstr("\"failed_items\":1"));
}

TEST(Batch, FailedDecryptItemsShowAnEmptyPlaintext) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer =
      api.Post("/v1/dev/decrypt/app", R"({"batch_input":[{"ciphertext":"x","reference":"r"}]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"batch_results":[{"plaintext":"","error":"invalid ciphertext: no prefix",)"
                     R"("reference":"r"}]})"));
}

TEST(Batch, StatusOverrideNeedsASuccessAndAStatusBetween200And599) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string mixed = R"("batch_input":[{"plaintext":"aGk="},{"plaintext":"!"}]})";
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", R"({"partial_failure_response_code":207,)" + mixed).status,
            207);
  const ApiAnswer refused =
      api.Post("/v1/dev/encrypt/app", R"({"partial_failure_response_code":1000,)" + mixed);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body,
              HasSubstr("invalid HTTP response code override from partial_failure_response_code, "
                        "reverting to 400"));
  const ApiAnswer all_bad = api.Post(
      "/v1/dev/encrypt/app",
      R"({"partial_failure_response_code":207,"batch_input":[{"plaintext":"!"}]})");
  EXPECT_EQ(all_bad.status, 400);
}

TEST(Batch, OfRewrapAnswers200WithItemErrors) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer = api.Post(
      "/v1/dev/rewrap/app", R"({"batch_input":[{"reference":"a"},{"ciphertext":"x"}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"batch_results":[{"error":"missing ciphertext to decrypt","reference":"a"},)"
                     R"({"error":"invalid ciphertext: no prefix","reference":""}]})"));
}

TEST(Batch, AcceptsVersionsAsNumericStrings) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer =
      api.Post("/v1/dev/encrypt/app", R"({"batch_input":[{"plaintext":"","key_version":"1"}]})");
  EXPECT_EQ(answer.status, 200);
}

TEST(Batch, HasALimitOfItems) {
  ApiService api({.max_batch_items = 2});
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer = api.Post(
      "/v1/dev/encrypt/app",
      R"({"batch_input":[{"plaintext":""},{"plaintext":""},{"plaintext":""}]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, Errors("batch_input has more than 2 items"));
}

}  // namespace
}  // namespace kms::testing
