// SPDX-License-Identifier: Apache-2.0
// How large and how many: the exact limits of bodies, plaintexts, associated data and batches.
//
// The limit is the body's, 32 MiB; base64 makes 4 bytes of 3, so a plaintext of 32 MiB does not fit
// into one. A plaintext is refused a little earlier than its own request would be: its ciphertext,
// with associated data and context, must fit into the request that decrypts it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kBody = std::size_t{32} << 20U;
// Base64 of nonce, plaintext and tag, and 128 bytes around it, fill the body.
constexpr std::size_t kLargestPlaintext = (kBody - 128) / 4 * 3 - 40;
// The same with an empty plaintext and base64 of the associated data.
constexpr std::size_t kLargestAad = (kBody - 128 - 56) / 4 * 3;

std::string Member(std::string_view name, const std::string& bytes) {
  return "\"" + std::string(name) + "\":\"" + Base64Encode(AsBytes(bytes)) + "\"";
}

void ExpectTooLong(const ApiAnswer& answer) {
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body,
            Errors("plaintext, associated data and context are too long: the ciphertext and they "
                   "would not fit into a request of 33554432 bytes, and so never be decrypted"));
}

TEST(SizeLimits, C19_ThirtyTwoMebibytesOfPlaintextDoNotFitIntoABody) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (const std::size_t size : {kBody - 1, kBody, kBody + 1}) {
    const std::string large(size, 'x');
    for (const std::string& body : {"{" + Member("plaintext", large) + "}",
                                    R"({"plaintext":"",)" + Member("associated_data", large) + "}"}) {
      const ApiAnswer answer = api.Post("/v1/dev/encrypt/app", body);
      EXPECT_EQ(answer.status, 413) << size;
      EXPECT_EQ(answer.body, Errors("http: request body too large")) << size;
    }
  }
}

TEST(SizeLimits, C19_TheLargestPlaintextComesBackAndOneByteMoreIsRefused) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string text(kLargestPlaintext, 'x');
  const ApiAnswer encrypted =
      api.Post("/v1/dev/encrypt/app", "{" + Member("plaintext", text) + "}");
  ASSERT_EQ(encrypted.status, 200);
  const std::string body =
      R"({"ciphertext":")" + TextAfter(encrypted.body, R"("ciphertext":")") + "\"}";
  ASSERT_LE(body.size(), kBody);
  const ApiAnswer decrypted = api.Post("/v1/dev/decrypt/app", body);
  EXPECT_EQ(decrypted.status, 200);
  EXPECT_TRUE(TextAfter(decrypted.body, R"("plaintext":")") == Base64Encode(AsBytes(text)));
  ExpectTooLong(api.Post("/v1/dev/encrypt/app", "{" + Member("plaintext", text + "x") + "}"));
}

TEST(SizeLimits, C19_TheLargestAssociatedDataComesBackAndOneByteMoreIsRefused) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string aad = Member("associated_data", std::string(kLargestAad, 'x'));
  const ApiAnswer encrypted = api.Post("/v1/dev/encrypt/app", R"({"plaintext":"",)" + aad + "}");
  ASSERT_EQ(encrypted.status, 200);
  const std::string body = R"({"ciphertext":")" + TextAfter(encrypted.body, R"("ciphertext":")") +
                           R"(",)" + aad + "}";
  EXPECT_EQ(WithoutRequestId(api.Post("/v1/dev/decrypt/app", body).body),
            Envelope(R"({"plaintext":""})"));
  const std::string longer = Member("associated_data", std::string(kLargestAad + 1, 'x'));
  ExpectTooLong(api.Post("/v1/dev/encrypt/app", R"({"plaintext":"",)" + longer + "}"));
  ExpectTooLong(api.Post("/v1/dev/datakey/wrapped/app", "{" + longer + "}"));
}

TEST(SizeLimits, C19_NothingIsAPlaintextAndABodyMayBeExactlyFull) {
  ApiService api({.max_body_bytes = 1000});
  api.Post("/v1/dev/keys/app");
  std::string body = R"({"plaintext":"","associated_data":""})";
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", body).status, 200);
  body.append(1000 - body.size(), ' ');
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", body).status, 200);
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", body + ' ').status, 413);
}

// ---- batches -----------------------------------------------------------------------------------

std::string BatchOf(std::size_t items) {
  std::string body = R"({"batch_input":[)";
  for (std::size_t i = 0; i < items; ++i) {
    body += i == 0 ? R"({"plaintext":""})" : R"(,{"plaintext":""})";
  }
  return body + "]}";
}

struct BatchRow {
  const char* target;
  std::string body;
  int status;
  const char* part;         // of the body
  const char* audit;        // part of the one record
};

TEST(SizeLimits, A14_BatchesAreAnsweredItemByItemOrRefusedWhole) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/keys/other");
  const std::string mine = TextAfter(
      api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})").body, R"("ciphertext":")");
  const std::string foreign = TextAfter(
      api.Post("/v1/dev/encrypt/other", R"({"plaintext":"aGk="})").body, R"("ciphertext":")");
  const std::string mixed = R"({"batch_input":[{"ciphertext":")" + mine + R"("},{"ciphertext":")" +
                            foreign + R"("}]})";
  const BatchRow rows[] = {
      {"encrypt/app", BatchOf(0), 400, "missing batch input to process", R"("status":400)"},
      {"decrypt/app", R"({"batch_input":[]})", 400, "missing batch input to process",
       R"("status":400)"},
      {"rewrap/app", R"({"batch_input":[]})", 400, "missing batch input to process",
       R"("status":400)"},
      {"encrypt/app", BatchOf(1), 200, "batch_results", R"("items":1)"},
      {"encrypt/app", BatchOf(10'000), 200, "batch_results", R"("items":10000)"},
      {"encrypt/app", BatchOf(10'001), 400, "batch_input has more than 10000 items",
       R"("status":400)"},
      {"encrypt/app", BatchOf(100'000), 400, "refused JSON input due to high complexity",
       R"("status":400)"},
      {"decrypt/app", mixed, 400,
       R"("plaintext":"aGk=","reference":""},{"plaintext":"","error":"cipher: message authentication failed")",
       R"("failed_items":1)"},
      {"rewrap/app", mixed, 200,
       R"("key_version":1,"reference":""},{"error":"cipher: message authentication failed")",
       R"("failed_items":1)"},
  };
  for (const BatchRow& row : rows) {
    const std::size_t before = api.audit.records().size();
    const ApiAnswer answer = api.Post("/v1/dev/" + std::string(row.target), row.body);
    EXPECT_EQ(answer.status, row.status) << row.target << " " << row.part;
    EXPECT_THAT(answer.body.substr(0, 2000), HasSubstr(row.part)) << row.target;
    // Either every item ran and is recorded with the others, or none did.
    ASSERT_EQ(api.audit.records().size(), before + 1) << row.target << " " << row.part;
    EXPECT_THAT(api.audit.records().back(), HasSubstr(row.audit)) << row.target << " " << row.part;
    if (answer.status != row.status || row.body.size() < 200) {
      continue;
    }
    EXPECT_EQ(answer.body.find("vault:v1:") == std::string::npos, row.status == 400)
        << row.target << " " << row.part;
  }
}

}  // namespace
}  // namespace kms::testing
