// SPDX-License-Identifier: Apache-2.0
// Checksums end to end: compared before anything is done, answered to whoever asks, on both lanes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/crypto/crc32c.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The check value of CRC-32C (RFC 3720's polynomial): that of "123456789".
constexpr std::string_view kDigits = "MTIzNDU2Nzg5";
constexpr std::string_view kDigitsCrc32c = "3808858755";
constexpr std::string_view kMismatch =
    " does not match: what arrived is not what was sent, or was never what the checksum is of; "
    "nothing was done with it";

std::string Crc32cText(std::string_view text) { return std::to_string(Crc32c(AsBytes(text))); }

// Every call on the loop's lane and on the pool's.
class Checksums : public ::testing::TestWithParam<bool> {
 protected:
  Checksums() {
    api_.Post("/v1/dev/keys/app");
    api_.Post("/v1/dev/encrypt/app", R"({"plaintext":""})");  // leases uses for the loop
  }

  ApiAnswer Post(const std::string& target, const std::string& body) {
    const ApiRequest request =
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/" + target, body, {}});
    return GetParam() ? api_.CallOnLoop(request, &left_to_the_pool_) : api_.Call(request);
  }
  std::string Data(const ApiAnswer& answer) {
    const std::string body = WithoutRequestId(answer.body);
    const std::size_t start = body.find(R"("data":)") + 7;
    return body.substr(start, body.find(R"(,"wrap_info")") - start);
  }
  static std::string Ciphertext(const ApiAnswer& answer) {
    return TextAfter(answer.body, R"("ciphertext":")");
  }

  ApiService api_;
  bool left_to_the_pool_ = false;
};

INSTANTIATE_TEST_SUITE_P(Lanes, Checksums, ::testing::Bool(), [](const auto& lane) {
  return std::string(lane.param ? "Loop" : "Pool");
});

TEST_P(Checksums, GoThroughEncryptDecryptAndRewrap) {
  const ApiAnswer encrypted =
      Post("encrypt/app", R"({"plaintext":")" + std::string(kDigits) + R"(","plaintext_crc32c":)" +
                              std::string(kDigitsCrc32c) + "}");
  const std::string ciphertext = Ciphertext(encrypted);
  EXPECT_EQ(Data(encrypted), R"({"ciphertext":")" + ciphertext + R"(","ciphertext_crc32c":)" +
                                 Crc32cText(ciphertext) +
                                 R"(,"verified_plaintext_crc32c":true,"key_version":1})");
  const std::string input =
      R"({"ciphertext":")" + ciphertext + R"(","ciphertext_crc32c":)" + Crc32cText(ciphertext) + "}";
  EXPECT_EQ(Data(Post("decrypt/app", input)),
            R"({"plaintext":"MTIzNDU2Nzg5","plaintext_crc32c":3808858755,)"
            R"("verified_ciphertext_crc32c":true})");
  const ApiAnswer rewrapped = Post("rewrap/app", input);
  EXPECT_EQ(Data(rewrapped), R"({"ciphertext":")" + Ciphertext(rewrapped) +
                                 R"(","ciphertext_crc32c":)" + Crc32cText(Ciphertext(rewrapped)) +
                                 R"(,"verified_ciphertext_crc32c":true,"key_version":1})");
  EXPECT_FALSE(left_to_the_pool_);
}

TEST_P(Checksums, CoverAssociatedDataToo) {
  const std::string aad_crc32c = Crc32cText("row-7");
  const std::string bound =
      R"("associated_data":"cm93LTc=","associated_data_crc32c":)" + aad_crc32c;
  const ApiAnswer encrypted = Post("encrypt/app", R"({"plaintext":"aGk=",)" + bound + "}");
  const std::string ciphertext = Ciphertext(encrypted);
  EXPECT_EQ(Data(encrypted), R"({"ciphertext":")" + ciphertext + R"(","ciphertext_crc32c":)" +
                                 Crc32cText(ciphertext) +
                                 R"(,"verified_associated_data_crc32c":true,"key_version":1})");
  EXPECT_EQ(Data(Post("decrypt/app", R"({"ciphertext":")" + ciphertext + R"(",)" + bound + "}")),
            R"({"plaintext":"aGk=","plaintext_crc32c":)" + Crc32cText("hi") +
                R"(,"verified_associated_data_crc32c":true})");
  // Sent without associated data, the checksum of nothing is 0.
  EXPECT_EQ(Post("encrypt/app", R"({"plaintext":"aGk=","associated_data_crc32c":0})").status, 200);
  EXPECT_FALSE(left_to_the_pool_);
}

TEST_P(Checksums, AreAnsweredToWhoOnlyAsks) {
  const ApiAnswer encrypted = Post("encrypt/app", R"({"plaintext":"aGk=","checksum":true})");
  const std::string ciphertext = Ciphertext(encrypted);
  EXPECT_EQ(Data(encrypted), R"({"ciphertext":")" + ciphertext + R"(","ciphertext_crc32c":)" +
                                 Crc32cText(ciphertext) + R"(,"key_version":1})");
  EXPECT_EQ(Data(Post("decrypt/app", R"({"checksum":true,"ciphertext":")" + ciphertext + "\"}")),
            R"({"plaintext":"aGk=","plaintext_crc32c":)" + Crc32cText("hi") + "}");
  const ApiAnswer data_key = Post("datakey/plaintext/app", R"({"checksum":true})");
  EXPECT_THAT(data_key.body, HasSubstr(R"("ciphertext_crc32c":)" + Crc32cText(Ciphertext(data_key))));
  EXPECT_THAT(data_key.body, HasSubstr(R"("plaintext_crc32c":)"));
  EXPECT_THAT(Post("datakey/wrapped/app", R"({"checksum":true})").body,
              Not(HasSubstr("plaintext_crc32c")));
  EXPECT_FALSE(left_to_the_pool_);
}

TEST_P(Checksums, AreAbsentForWhoDoesNotAsk) {
  const ApiAnswer encrypted = Post("encrypt/app", R"({"plaintext":"aGk=","checksum":false})");
  const std::string ciphertext = Ciphertext(encrypted);
  EXPECT_EQ(Data(encrypted), R"({"ciphertext":")" + ciphertext + R"(","key_version":1})");
  EXPECT_EQ(Data(Post("decrypt/app", R"({"ciphertext":")" + ciphertext + "\"}")),
            R"({"plaintext":"aGk="})");
}

TEST_P(Checksums, OfABatchGoWithItsItems) {
  const ApiAnswer encrypted =
      Post("encrypt/app",
           R"({"batch_input":[{"plaintext":"aGk=","plaintext_crc32c":)" + Crc32cText("hi") +
               R"(,"reference":"good"},{"plaintext":"aGk=","plaintext_crc32c":1,"reference":"bad"},)"
               R"({"plaintext":"aGk="}]})");
  EXPECT_EQ(encrypted.status, 400);
  EXPECT_THAT(encrypted.body, HasSubstr(R"("verified_plaintext_crc32c":true,"key_version":1,)"
                                        R"("reference":"good"})"));
  EXPECT_THAT(encrypted.body, HasSubstr(R"({"error":"plaintext_crc32c)" + std::string(kMismatch) +
                                        R"(","reference":"bad"})"));
  EXPECT_THAT(encrypted.body, HasSubstr(R"(","key_version":1,"reference":""}]})"));
  const std::string ciphertext = Ciphertext(encrypted);
  EXPECT_EQ(Data(Post("decrypt/app", R"({"checksum":true,"batch_input":[{"ciphertext":")" +
                                         ciphertext + R"("}]})")),
            R"({"batch_results":[{"plaintext":"aGk=","plaintext_crc32c":)" + Crc32cText("hi") +
                R"(,"reference":""}]})");
  EXPECT_FALSE(left_to_the_pool_);
}

TEST_P(Checksums, ThatDoNotMatchAreRefused) {
  const std::string ciphertext = Ciphertext(Post("encrypt/app", R"({"plaintext":"aGk="})"));
  const std::string input = R"({"ciphertext":")" + ciphertext + R"(",)";
  const std::tuple<const char*, std::string, std::string> rows[] = {
      {"encrypt/app", R"({"plaintext":"aGk=","plaintext_crc32c":0})", "plaintext_crc32c"},
      {"encrypt/app", R"({"plaintext":"","plaintext_crc32c":1})", "plaintext_crc32c"},
      {"encrypt/app", R"({"plaintext":"","associated_data":"cm93","associated_data_crc32c":7})",
       "associated_data_crc32c"},
      {"encrypt/app", R"({"plaintext":"","associated_data_crc32c":7})", "associated_data_crc32c"},
      {"decrypt/app", input + R"("ciphertext_crc32c":5})", "ciphertext_crc32c"},
      {"rewrap/app", input + R"("ciphertext_crc32c":5})", "ciphertext_crc32c"},
      {"datakey/wrapped/app", R"({"associated_data":"cm93","associated_data_crc32c":7})",
       "associated_data_crc32c"},
  };
  for (const auto& [target, body, name] : rows) {
    const ApiAnswer answer = Post(target, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.body, Errors(name + std::string(kMismatch))) << body;
  }
}

TEST_P(Checksums, MayBeDecimalTextAndMustBe32Bits) {
  const auto encrypt = [this](const std::string& crc32c) {
    return Post("encrypt/app", R"({"plaintext":"MTIzNDU2Nzg5","plaintext_crc32c":)" + crc32c + "}");
  };
  EXPECT_EQ(encrypt("\"3808858755\"").status, 200);
  EXPECT_EQ(encrypt("3808858755.0").status, 200);
  EXPECT_THAT(encrypt("null").body, Not(HasSubstr("crc32c")));
  const std::string range = Errors("plaintext_crc32c must be a number from 0 to 4294967295");
  for (const char* bad : {"-1", "4294967296", "8103826051", "9223372036854775807"}) {
    EXPECT_EQ(encrypt(bad).body, range) << bad;
  }
  for (const char* bad : {"\"x\"", "1.5", "[]", "99999999999999999999"}) {
    EXPECT_EQ(encrypt(bad).status, 400) << bad;
    EXPECT_THAT(encrypt(bad).body, HasSubstr("plaintext_crc32c")) << bad;
  }
  EXPECT_EQ(Post("encrypt/app", R"({"batch_input":[{"plaintext":"","plaintext_crc32c":"x"}]})").body,
            Errors("failed to parse batch input: '[0].plaintext_crc32c' expected type 'int', got "
                   "unconvertible type 'string'"));
}

}  // namespace
}  // namespace kms::testing
