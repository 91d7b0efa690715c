// SPDX-License-Identifier: Apache-2.0
// Keys with `derived` and `convergent_encryption` over the API, in both lanes (transit-api 5.4, 5.5,
// 6.1, 6.9-6.12, 7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kMissing =
    "missing 'context' for key derivation; the key was created using a derived key, which means "
    "additional, per-request information must be included in order to perform operations with the "
    "key";

// An API with a derived key "d", a convergent key "c" and a plain key "p", all warm.
class DerivedKeys : public ::testing::Test {
 protected:
  DerivedKeys() {
    EXPECT_EQ(api_.Post("/v1/dev/keys/d", R"({"derived":true})").status, 200);
    EXPECT_EQ(
        api_.Post("/v1/dev/keys/c", R"({"derived":true,"convergent_encryption":true})").status,
        200);
    EXPECT_EQ(api_.Post("/v1/dev/keys/p").status, 200);
    for (const char* key : {"d", "c", "p"}) {  // leases uses, which the loop cannot
      api_.Post("/v1/dev/encrypt/" + std::string(key), R"({"plaintext":"","context":"YQ=="})");
    }
  }

  ApiAnswer Ask(bool loop, const std::string& target, const std::string& body,
                bool* deferred = nullptr) {
    const ApiRequest request =
        ApiService::WithToken({api::HttpMethod::kPost, "/v1/dev/" + target, body, {}});
    return loop ? api_.CallOnLoop(request, deferred) : api_.Call(request);
  }
  std::string Encrypt(bool loop, const std::string& key, const std::string& members) {
    bool deferred = false;
    const ApiAnswer answer = Ask(loop, "encrypt/" + key, "{" + members + "}", &deferred);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_FALSE(deferred) << members;
    return TextAfter(answer.body, R"("ciphertext":")");
  }
  // The plaintext in base64, or the body of an error.
  std::string Decrypt(bool loop, const std::string& key, const std::string& ciphertext,
                      const std::string& members) {
    const ApiAnswer answer =
        Ask(loop, "decrypt/" + key, R"({"ciphertext":")" + ciphertext + "\"" + members + "}");
    return answer.status == 200 ? TextAfter(answer.body, R"("plaintext":")") : answer.body;
  }

  ApiService api_;
};

TEST_F(DerivedKeys, TheKeyObjectSaysHowItDerives) {
  const std::string derived = api_.Get("/v1/dev/keys/d").body;
  EXPECT_THAT(derived, HasSubstr(R"("derived":true)"));
  EXPECT_THAT(derived, HasSubstr(R"("kdf":"hkdf_sha256","convergent_encryption":false)"));
  EXPECT_THAT(derived, HasSubstr(R"("supports_derivation":true)"));
  EXPECT_THAT(derived, Not(HasSubstr("convergent_encryption_version")));
  const std::string convergent = api_.Get("/v1/dev/keys/c").body;
  EXPECT_THAT(convergent,
              HasSubstr(R"("convergent_encryption":true,"convergent_encryption_version":-1)"));
  EXPECT_THAT(api_.Get("/v1/dev/keys/p").body, Not(HasSubstr("kdf")));
}

TEST_F(DerivedKeys, WhatOneLaneEncryptsTheOtherDecrypts) {
  for (const char* key : {"d", "c"}) {
    for (const bool loop : {false, true}) {
      const std::string made = Encrypt(loop, key, R"("plaintext":"aGk=","context":"YQ==")");
      EXPECT_EQ(Decrypt(!loop, key, made, R"(,"context":"YQ==")"), "aGk=");
      EXPECT_EQ(Decrypt(!loop, key, made, R"(,"context":"Yg==")"),
                Errors("cipher: message authentication failed"));
    }
  }
}

TEST_F(DerivedKeys, BothLanesMakeTheSameConvergentCiphertext) {
  const std::string plain = R"("plaintext":"aGk=","context":"YQ==")";
  EXPECT_EQ(Encrypt(false, "c", plain), Encrypt(true, "c", plain));
  EXPECT_EQ(Encrypt(false, "c", plain + R"(,"associated_data":"cm93")"),
            Encrypt(true, "c", plain + R"(,"associated_data":"cm93")"));
  EXPECT_NE(Encrypt(true, "d", plain), Encrypt(true, "d", plain));
}

TEST_F(DerivedKeys, C13_AssociatedDataChangesTheConvergentNonce) {
  const std::string plain = R"("plaintext":"aGk=","context":"YQ==")";
  const std::string bare = Encrypt(true, "c", plain);
  const std::string bound = Encrypt(true, "c", plain + R"(,"associated_data":"cm93")");
  EXPECT_NE(bare.substr(9, 16), bound.substr(9, 16));
}

TEST_F(DerivedKeys, ContextsOfSixtyFourKibibytesDerive) {
  const std::string context = Base64Encode(Bytes(65536, 'c'));
  const std::string made =
      Encrypt(false, "c", R"("plaintext":"aGk=","context":")" + context + "\"");
  EXPECT_EQ(Decrypt(false, "c", made, R"(,"context":")" + context + "\""), "aGk=");
}

TEST_F(DerivedKeys, RewrapAndDataKeyTakeTheContext) {
  const std::string old = Encrypt(true, "c", R"("plaintext":"aGk=","context":"YQ==")");
  api_.Post("/v1/dev/keys/c/rotate");
  for (const bool loop : {false, true}) {
    const ApiAnswer rewrapped =
        Ask(loop, "rewrap/c", R"({"context":"YQ==","ciphertext":")" + old + "\"}");
    ASSERT_EQ(rewrapped.status, 200) << rewrapped.body;
    const std::string renewed = TextAfter(rewrapped.body, R"("ciphertext":")");
    EXPECT_EQ(renewed.substr(0, 9), "vault:v2:");
    EXPECT_EQ(Decrypt(loop, "c", renewed, R"(,"context":"YQ==")"), "aGk=");
    const ApiAnswer made = Ask(loop, "datakey/plaintext/d", R"({"context":"YQ=="})");
    ASSERT_EQ(made.status, 200) << made.body;
    EXPECT_EQ(Decrypt(loop, "d", TextAfter(made.body, R"("ciphertext":")"), R"(,"context":"YQ==")"),
              TextAfter(made.body, R"("plaintext":")"));
  }
}

TEST_F(DerivedKeys, APlainKeyIgnoresTheContext) {
  const std::string made = Encrypt(true, "p", R"("plaintext":"aGk=","context":"YQ==")");
  EXPECT_EQ(Decrypt(true, "p", made, ""), "aGk=");
  EXPECT_EQ(Decrypt(false, "p", made, R"(,"context":"Yg==")"), "aGk=");
}

TEST_F(DerivedKeys, ErrorsHaveTheContractsTextsInBothLanes) {
  const std::string made = Encrypt(true, "d", R"("plaintext":"aGk=","context":"YQ==")");
  const std::string with = R"({"ciphertext":")" + made + "\"";
  const std::string illegal = "illegal base64 data at input byte 0";
  const struct {
    std::string target, body, text;
  } rows[] = {
      {"encrypt/d", R"({"plaintext":"aGk="})", std::string(kMissing)},
      {"encrypt/d", R"({"plaintext":"aGk=","context":""})", std::string(kMissing)},
      {"encrypt/d", R"({"plaintext":"aGk=","context":null})", std::string(kMissing)},
      {"encrypt/d", R"({"plaintext":"aGk=","context":"!"})", illegal},
      {"decrypt/d", with + "}", std::string(kMissing)},
      {"decrypt/d", with + R"(,"context":"!"})", illegal},
      {"rewrap/d", with + "}", std::string(kMissing)},
      {"rewrap/d", with + R"(,"context":"!"})", illegal},
      {"datakey/wrapped/d", "{}", std::string(kMissing)},
      {"datakey/wrapped/d", R"({"context":"!"})", "failed to base64-decode context"},
      {"encrypt/d",
       R"({"batch_input":[{"plaintext":"","context":"YQ=="},{"plaintext":"","context":""}]})",
       "context should be set either in all the request blocks or in none"},
      {"decrypt/d",
       R"({"batch_input":[{"ciphertext":"x"},{"ciphertext":"x","context":"YQ=="}]})",
       "context should be set either in all the request blocks or in none"},
      {"keys/x", R"({"convergent_encryption":true})",
       "convergent encryption requires derivation to be enabled"},
      {"encrypt/x", R"({"plaintext":"","convergent_encryption":true})",
       "convergent encryption requires derivation to be enabled, so context is required"},
      {"encrypt/x", R"({"plaintext":"","context":"!"})", illegal},
      {"encrypt/x", R"({"plaintext":"","context":"\n"})", std::string(kMissing)},
      {"encrypt/x", R"({"plaintext":"","context":"YQ==","type":"ed25519"})",
       "unknown key type ed25519"},
  };
  for (const auto& [target, body, text] : rows) {
    for (const bool loop : {false, true}) {
      const ApiAnswer answer = Ask(loop, target, body);
      EXPECT_EQ(answer.status, 400) << target << " " << body;
      EXPECT_EQ(answer.body, Errors(text)) << target << " " << body;
    }
  }
  EXPECT_EQ(api_.Get("/v1/dev/keys/x").status, 404);
}

TEST_F(DerivedKeys, ABatchHasAContextPerItem) {
  for (const bool loop : {false, true}) {
    bool deferred = false;
    const ApiAnswer made = Ask(loop, "encrypt/c",
                               R"({"batch_input":[{"plaintext":"aGk=","context":"YQ=="},)"
                               R"({"plaintext":"aGk=","context":"Yg=="},)"
                               R"({"plaintext":"aGk=","context":"!"}],)"
                               R"("partial_failure_response_code":207})",
                               &deferred);
    EXPECT_EQ(made.status, 207) << made.body;
    EXPECT_FALSE(deferred);
    const std::string first = Encrypt(loop, "c", R"("plaintext":"aGk=","context":"YQ==")");
    const std::string second = Encrypt(loop, "c", R"("plaintext":"aGk=","context":"Yg==")");
    EXPECT_NE(first, second);
    EXPECT_EQ(WithoutRequestId(made.body),
              Envelope(R"({"batch_results":[{"ciphertext":")" + first +
                       R"(","key_version":1,"reference":""},{"ciphertext":")" + second +
                       R"(","key_version":1,"reference":""},)"
                       R"({"error":"illegal base64 data at input byte 0","reference":""}]})"));
    const ApiAnswer opened = Ask(loop, "decrypt/c",
                                 R"({"batch_input":[{"ciphertext":")" + first +
                                     R"(","context":"YQ=="},{"ciphertext":")" + second +
                                     R"(","context":"YQ=="}]})");
    EXPECT_EQ(opened.status, 400);
    EXPECT_THAT(opened.body, HasSubstr(R"([{"plaintext":"aGk=","reference":""},{"plaintext":"",)"
                                       R"("error":"cipher: message authentication failed")"));
  }
}

TEST_F(DerivedKeys, ABatchWithoutContextsFailsItemByItem) {
  const ApiAnswer answer =
      Ask(true, "encrypt/d", R"({"batch_input":[{"plaintext":""},{"plaintext":""}]})");
  EXPECT_EQ(answer.status, 400);
  const std::string item = R"({"error":")" + std::string(kMissing) + R"(","reference":""})";
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"batch_results":[)" + item + "," + item + "]}"));
}

TEST_F(DerivedKeys, UpsertWithContextCreatesADerivedKey) {
  EXPECT_EQ(Ask(false, "encrypt/u1", R"({"plaintext":"aGk=","context":"YQ=="})").status, 200);
  EXPECT_THAT(api_.Get("/v1/dev/keys/u1").body,
              HasSubstr(R"("kdf":"hkdf_sha256","convergent_encryption":false)"));
  EXPECT_EQ(Ask(false, "encrypt/u2",
                R"({"convergent_encryption":true,"type":"chacha20-poly1305",)"
                R"("batch_input":[{"plaintext":"aGk=","context":"YQ=="}]})")
                .status,
            200);
  const std::string info = api_.Get("/v1/dev/keys/u2").body;
  EXPECT_THAT(info, HasSubstr(R"("type":"chacha20-poly1305")"));
  EXPECT_THAT(info, HasSubstr(R"("convergent_encryption":true,"convergent_encryption_version":-1)"));
  EXPECT_EQ(Ask(false, "encrypt/u3", R"({"plaintext":"aGk="})").status, 200);
  EXPECT_THAT(api_.Get("/v1/dev/keys/u3").body, HasSubstr(R"("derived":false)"));
}

}  // namespace
}  // namespace kms::testing
