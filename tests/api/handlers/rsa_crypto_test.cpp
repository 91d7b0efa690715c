// SPDX-License-Identifier: Apache-2.0
// RSA keys over the API: padding schemes, associated data, one answer for every failure; and the
// option verify_encrypt, which a damaged RSA key puts to the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "tests/support/api_service.h"
#include "tests/support/message_keys.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kNotEnabled =
    "padding scheme pkcs1v15 is not enabled here: it lets callers who can provoke decryptions read "
    "messages; tune the environment's option allow_pkcs1v15 to \"true\" to take that risk, or use "
    "oaep";

struct RsaService {
  explicit RsaService(api::PipelineOptions options = {}) : api(std::move(options)) {
    EXPECT_EQ(api.Post("/v1/dev/keys/rsa", R"({"type":"rsa-2048"})").status, 200);
    api.Post("/v1/dev/keys/app");
  }

  // On the loop's lane, which leaves RSA to the pool's.
  ApiAnswer Post(const std::string& target, const std::string& body) {
    return api.CallOnLoop(
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/" + target, body, {}}));
  }
  std::string Encrypted(const std::string& members = R"("plaintext":"aGk=")") {
    return TextAfter(Post("encrypt/rsa", "{" + members + "}").body, R"("ciphertext":")");
  }
  void Tune(const std::string& option, const std::string& value) {
    EXPECT_EQ(api.Post("/v1/sys/mounts/dev/tune",
                       R"({"options":{")" + option + R"(":")" + value + R"("}})")
                  .status,
              204);
  }
  // Puts a key in its place that encrypts what it cannot decrypt.
  void Damage() {
    const auto environment = api.environments().Find("dev");
    const KeyHandle good = *environment->FindKey(*KeyName::Parse("rsa"));
    environment->PublishKey(std::make_shared<const Key>(*DamagedCopyOf(*good)), 1'000'000);
  }

  ApiService api;
};

TEST(RsaCrypto, EncryptsDecryptsRewrapsAndWrapsDataKeys) {
  RsaService service;
  const std::string ciphertext = service.Encrypted();
  const ApiAnswer opened = service.Post("decrypt/rsa", R"({"ciphertext":")" + ciphertext + "\"}");
  EXPECT_EQ(WithoutRequestId(opened.body), Envelope(R"({"plaintext":"aGk="})"));
  service.api.Post("/v1/dev/keys/rsa/rotate");
  EXPECT_THAT(service.Post("rewrap/rsa", R"({"ciphertext":")" + ciphertext + "\"}").body,
              HasSubstr(R"("ciphertext":"vault:v2:)"));
  const ApiAnswer made = service.Post("datakey/plaintext/rsa", R"({"bits":512})");
  const std::string wrapped = TextAfter(made.body, R"("ciphertext":")");
  EXPECT_EQ(TextAfter(service.Post("decrypt/rsa", R"({"ciphertext":")" + wrapped + "\"}").body,
                      R"("plaintext":")"),
            TextAfter(made.body, R"("plaintext":")"));
}

TEST(RsaCrypto, IsLeftToThePool) {
  RsaService service;
  service.Encrypted();  // warm
  bool left = false;
  service.api.CallOnLoop(ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/encrypt/rsa",
                                                R"({"plaintext":"aGk="})", {}}),
                         &left);
  EXPECT_TRUE(left);
}

TEST(RsaCrypto, AssociatedDataIsRefusedAndInABatchDoesNotCountAsAFailure) {
  RsaService service;
  const std::string bound = R"("associated_data":"cm93")";
  const std::string text = "'[0].associated_data' provided for non-AEAD cipher suite rsa-2048";
  EXPECT_EQ(service.Post("encrypt/rsa", R"({"plaintext":"aGk=",)" + bound + "}").body, Errors(text));
  EXPECT_EQ(service.Post("decrypt/rsa", R"({"ciphertext":"vault:v1:AAAA",)" + bound + "}").body,
            Errors(text));
  EXPECT_EQ(service.Post("rewrap/rsa", R"({"ciphertext":"vault:v1:AAAA",)" + bound + "}").body,
            Errors(text));
  EXPECT_EQ(service.Post("datakey/wrapped/rsa", "{" + bound + "}").body,
            Errors("'associated_data' provided for non-AEAD cipher suite rsa-2048"));
  const ApiAnswer batch = service.Post(
      "encrypt/rsa", R"({"batch_input":[{"plaintext":"aGk="},{"plaintext":"aGk=",)" + bound + "}]}");
  EXPECT_EQ(batch.status, 200);
  EXPECT_THAT(batch.body, HasSubstr(R"({"error":"'[1].associated_data' provided for non-AEAD )"
                                    R"(cipher suite rsa-2048","reference":""})"));
  EXPECT_THAT(service.api.audit.records().back(), HasSubstr(R"("failed_items":1)"));
  EXPECT_EQ(service
                .Post("encrypt/rsa",
                      R"({"batch_input":[{"plaintext":"!"},{"plaintext":"aGk=",)" + bound + "}]}")
                .status,
            400);
}

TEST(RsaCrypto, Pkcs1v15IsOffUntilTheEnvironmentAllowsIt) {
  RsaService service;
  const std::string with_scheme = R"("plaintext":"aGk=","padding_scheme":"pkcs1v15")";
  EXPECT_EQ(service.Post("encrypt/rsa", "{" + with_scheme + "}").body, Errors(kNotEnabled));
  service.Tune("allow_pkcs1v15", "true");
  const std::string ciphertext = service.Encrypted(with_scheme);
  const std::string input = R"({"ciphertext":")" + ciphertext + R"(",)";
  EXPECT_THAT(service.Post("decrypt/rsa", input + R"("padding_scheme":"pkcs1v15"})").body,
              HasSubstr(R"("plaintext":"aGk=")"));
  EXPECT_EQ(service.Post("decrypt/rsa", input + R"("padding_scheme":"oaep"})").status, 400);
  const ApiAnswer rewrapped = service.Post(
      "rewrap/rsa",
      input + R"("decrypt_padding_scheme":"pkcs1v15","encrypt_padding_scheme":"oaep"})");
  const std::string renewed = TextAfter(rewrapped.body, R"("ciphertext":")");
  EXPECT_THAT(service.Post("decrypt/rsa", R"({"ciphertext":")" + renewed + "\"}").body,
              HasSubstr(R"("plaintext":"aGk=")"));
  EXPECT_EQ(service.Post("datakey/wrapped/rsa", R"({"padding_scheme":"pkcs1v15"})").status, 200);
  service.Tune("allow_pkcs1v15", "false");
  EXPECT_EQ(service.Post("decrypt/rsa", input + R"("padding_scheme":"pkcs1v15"})").body,
            Errors(kNotEnabled));
}

TEST(RsaCrypto, PaddingSchemesGoWithItemsAndRsaKeysOnly) {
  RsaService service;
  const ApiAnswer batch =
      service.Post("encrypt/rsa",
                   R"({"batch_input":[{"plaintext":"aGk=","padding_scheme":"oaep"},)"
                   R"({"plaintext":"aGk=","padding_scheme":"pkcs1v15"},)"
                   R"({"plaintext":"aGk=","padding_scheme":"none"}]})");
  EXPECT_EQ(batch.status, 400);
  EXPECT_THAT(batch.body, HasSubstr(R"("key_version":1,"reference":""},{"error":"padding scheme)"));
  const std::string unknown = R"(unknown padding scheme; must be "oaep" or "pkcs1v15")";
  EXPECT_THAT(batch.body, HasSubstr(R"({"error":"unknown padding scheme; must be \"oaep\" or)"));
  EXPECT_EQ(service.Post("encrypt/rsa", R"({"plaintext":"aGk=","padding_scheme":"OAEP"})").body,
            Errors(unknown));
  EXPECT_EQ(service.Post("encrypt/app", R"({"plaintext":"aGk=","padding_scheme":"oaep"})").body,
            Errors("unsupported key type aes256-gcm96 for padding scheme"));
  EXPECT_EQ(service.Post("encrypt/app", R"({"plaintext":"aGk=","padding_scheme":""})").status, 200);
}

TEST(RsaCrypto, C10_EveryDecryptionFailureHasOneAnswer) {
  RsaService service;
  service.Tune("allow_pkcs1v15", "true");
  const std::string good = service.Encrypted();
  Bytes flipped = *Base64Decode(good.substr(9));
  flipped[100] ^= 1U;
  const std::string wrong_padding =
      service.Encrypted(R"("plaintext":"aGk=","padding_scheme":"pkcs1v15")");
  const std::string ciphertexts[] = {
      "vault:v1:" + Base64Encode(flipped),
      "vault:v1:" + Base64Encode(Bytes(256)),
      "vault:v1:" + Base64Encode(Bytes(256, 0xFF)),
      "vault:v1:" + Base64Encode(Bytes(255, 1)),
      "vault:v1:" + Base64Encode(Bytes(257, 1)),
      "vault:v1:AAAA",
      wrong_padding,
  };
  for (const std::string& ciphertext : ciphertexts) {
    for (const char* verb : {"decrypt/rsa", "rewrap/rsa"}) {
      const ApiAnswer answer = service.Post(verb, R"({"ciphertext":")" + ciphertext + "\"}");
      EXPECT_EQ(answer.status, 400) << ciphertext;
      EXPECT_EQ(answer.body,
                Errors("failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"))
          << ciphertext;
    }
  }
}

// ---- verify_encrypt ----------------------------------------------------------------------------

TEST(VerifyEncrypt, ChangesNoAnswerThatIsRight) {
  RsaService service;
  service.Tune("verify_encrypt", "true");
  EXPECT_TRUE(service.api.environments().Find("dev")->verifies_encryption());
  for (const char* key : {"app", "rsa"}) {
    const std::string name(key);
    const ApiAnswer encrypted =
        service.Post("encrypt/" + name, R"({"batch_input":[{"plaintext":"aGk="}]})");
    const std::string ciphertext = TextAfter(encrypted.body, R"("ciphertext":")");
    EXPECT_EQ(WithoutRequestId(encrypted.body),
              Envelope(R"({"batch_results":[{"ciphertext":")" + ciphertext +
                       R"(","key_version":1,"reference":""}]})"));
    EXPECT_EQ(service.Post("rewrap/" + name, R"({"ciphertext":")" + ciphertext + "\"}").status, 200);
    EXPECT_EQ(service.Post("datakey/wrapped/" + name, "{}").status, 200);
  }
}

TEST(VerifyEncrypt, AnswersAnInternalErrorAndLogsItInsteadOfWhatWouldNotDecrypt) {
  std::vector<std::string> reported;
  RsaService service({.report = [&reported](const Error& error, std::string_view) {
    reported.push_back(error.detail);
  }});
  service.Encrypted();
  service.Damage();
  EXPECT_EQ(service.Post("encrypt/rsa", R"({"plaintext":"aGk="})").status, 200);
  EXPECT_TRUE(reported.empty());
  service.Tune("verify_encrypt", "true");
  const std::pair<const char*, const char*> single[] = {
      {"encrypt/rsa", R"({"plaintext":"aGk="})"},
      {"datakey/plaintext/rsa", "{}"},
      {"datakeys/plaintext/rsa", R"({"count":2})"},
  };
  for (const auto& [target, body] : single) {
    reported.clear();
    const ApiAnswer answer = service.Post(target, body);
    EXPECT_EQ(answer.status, 500) << target;
    EXPECT_EQ(answer.body, Errors("1 error occurred:\n\t* internal error\n\n")) << target;
    ASSERT_EQ(reported.size(), 1U) << target;
    EXPECT_THAT(reported[0], HasSubstr("verify_encrypt")) << target;
  }
  reported.clear();
  const ApiAnswer batch =
      service.Post("encrypt/rsa", R"({"batch_input":[{"plaintext":"aGk="},{"plaintext":""}]})");
  EXPECT_EQ(batch.status, 500);
  EXPECT_THAT(batch.body, Not(HasSubstr("vault:v1")));
  ASSERT_EQ(reported.size(), 1U);
  EXPECT_THAT(reported[0], HasSubstr("verify_encrypt"));
}

TEST(VerifyEncrypt, TakesTrueAndFalseOnly) {
  RsaService service;
  for (const char* option : {"verify_encrypt", "allow_pkcs1v15"}) {
    const ApiAnswer answer = service.api.Post(
        "/v1/sys/mounts/dev/tune", R"({"options":{")" + std::string(option) + R"(":"maybe"}})");
    EXPECT_EQ(answer.body,
              Errors("option \"" + std::string(option) + R"(" must be "true" or "false")"));
  }
  EXPECT_EQ(service.api
                .Post("/v1/sys/mounts/careful", R"({"type":"transit","options":{"verify_encrypt":"true"}})")
                .status,
            204);
  EXPECT_TRUE(service.api.environments().Find("careful")->verifies_encryption());
  EXPECT_FALSE(service.api.environments().Find("dev")->verifies_encryption());
}

}  // namespace
}  // namespace kms::testing
