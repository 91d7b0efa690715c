// SPDX-License-Identifier: Apache-2.0
// sign, and verify for signatures: bodies, precedence, batch rules (transit-api 6.16, 6.17, 7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kSign = "/v1/dev/sign/ec";
constexpr const char* kVerify = "/v1/dev/verify/ec";
constexpr const char* kContext = "dGVuYW50LTQy";

class SignApi : public ::testing::Test {
 protected:
  SignApi() {
    Make("ec", "ecdsa-p256");
    Make("ed", "ed25519");
  }

  void Make(const std::string& name, const std::string& type, const std::string& more = "") {
    const ApiAnswer answer =
        api_.Post("/v1/dev/keys/" + name, R"({"type":")" + type + "\"" + more + "}");
    EXPECT_EQ(answer.status, 200) << answer.body;
  }

  std::string SignatureOf(const std::string& body, const std::string& path = kSign) {
    const ApiAnswer answer = api_.Post(path, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return TextAfter(answer.body, R"("signature":")");
  }

  // "true", "false" or the error.
  std::string Verdict(const std::string& signature, const std::string& more = R"("input":"aGk=")",
                      const std::string& path = kVerify) {
    const ApiAnswer answer =
        api_.Post(path, R"({"signature":")" + signature + "\"," + more + "}");
    if (answer.status != 200) {
      return answer.body;
    }
    return answer.body.find(R"("data":{"valid":true})") != std::string::npos ? "true" : "false";
  }

  ApiService api_;
};

TEST_F(SignApi, AnswersWithExactlySignatureAndVersion) {
  const ApiAnswer answer = api_.Post(kSign, R"({"input":"aGk="})");
  const std::string signature = TextAfter(answer.body, R"("signature":")");
  EXPECT_THAT(signature, StartsWith("vault:v1:"));
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"signature":")" + signature + R"(","key_version":1})"));
  const ApiAnswer good =
      api_.Post(kVerify, R"({"input":"aGk=","signature":")" + signature + "\"}");
  EXPECT_EQ(WithoutRequestId(good.body), Envelope(R"({"valid":true})"));
  const ApiAnswer bad =
      api_.Post(kVerify, R"({"input":"aGkh","signature":")" + signature + "\"}");
  EXPECT_EQ(bad.status, 200);
  EXPECT_EQ(WithoutRequestId(bad.body), Envelope(R"({"valid":false})"));
}

TEST_F(SignApi, ADerivedKeySaysWhichPublicKeyVerifies) {
  Make("derived", "ed25519", R"(,"derived":true)");
  const std::string with = R"("input":"aGk=","context":")" + std::string(kContext) + "\"";
  const ApiAnswer answer = api_.Post("/v1/dev/sign/derived", "{" + with + "}");
  const std::string public_key = TextAfter(answer.body, R"("public_key":")");
  EXPECT_EQ(public_key.size(), 44U) << answer.body;
  EXPECT_THAT(api_.Get("/v1/dev/keys/derived?context=" + std::string(kContext)).body,
              HasSubstr(R"("public_key":")" + public_key + "\""));
  EXPECT_THAT(api_.Get("/v1/dev/keys/derived").body, HasSubstr(R"("public_key":"")"));
  const std::string signature = TextAfter(answer.body, R"("signature":")");
  EXPECT_EQ(Verdict(signature, with, "/v1/dev/verify/derived"), "true");
  EXPECT_EQ(Verdict(signature, R"("input":"aGk=","context":"eA==")", "/v1/dev/verify/derived"),
            "false");
  EXPECT_THAT(Verdict(signature, R"("input":"aGk=")", "/v1/dev/verify/derived"),
              HasSubstr("missing 'context' for key derivation"));
  EXPECT_THAT(api_.Post("/v1/dev/sign/ed", "{" + with + "}").body, Not(HasSubstr("public_key")));
}

TEST_F(SignApi, A16_TheUrlBeatsHashAlgorithmWhichBeatsAlgorithm) {
  const auto signs = [&](const std::string& path, const std::string& more) {
    return SignatureOf("{" + more + R"("input":"aGk="})", path);
  };
  const auto valid = [&](const std::string& signature, const std::string& hash) {
    return Verdict(signature, R"("input":"aGk=")", kVerify + ("/" + hash)) == "true";
  };
  const std::string url = kSign + std::string("/sha2-512");
  EXPECT_TRUE(valid(signs(url, ""), "sha2-512"));
  EXPECT_TRUE(valid(signs(url, R"("hash_algorithm":"sha1","algorithm":"sha2-384",)"), "sha2-512"));
  EXPECT_TRUE(valid(signs(kSign, R"("hash_algorithm":"sha1","algorithm":"sha2-384",)"), "sha1"));
  EXPECT_TRUE(valid(signs(kSign, R"("hash_algorithm":"","algorithm":"sha2-384",)"), "sha2-384"));
  EXPECT_TRUE(valid(signs(kSign, R"("algorithm":"sha2-384",)"), "sha2-256"))
      << "absent hash_algorithm has a default";
  EXPECT_FALSE(valid(signs(kSign, R"("hash_algorithm":"sha1",)"), "sha2-256"));
}

TEST_F(SignApi, VerifyChoosesTheHashAsSignDoes) {
  const std::string signature = SignatureOf(R"({"input":"aGk=","hash_algorithm":"sha2-384"})");
  EXPECT_EQ(Verdict(signature, R"("input":"aGk=","hash_algorithm":"sha2-384")"), "true");
  EXPECT_EQ(Verdict(signature, R"("input":"aGk=","algorithm":"sha2-384")"), "false");
  EXPECT_EQ(Verdict(signature, R"("input":"aGk=","hash_algorithm":"","algorithm":"sha2-384")"),
            "true");
}

TEST_F(SignApi, AMissingSingleInputIsTheEmptyOne) {
  const std::string signature = SignatureOf("{}");
  EXPECT_EQ(Verdict(signature, R"("input":"")"), "true");
  EXPECT_EQ(Verdict(signature, R"("prehashed":false)"), "true");
}

TEST_F(SignApi, JwsIsBase64urlOfBothNumbers) {
  const std::string signature = SignatureOf(R"({"input":"aGk=","marshaling_algorithm":"jws"})");
  EXPECT_EQ(signature.size(), 9U + 86U);
  EXPECT_EQ(Verdict(signature, R"("input":"aGk=","marshaling_algorithm":"jws")"), "true");
}

TEST_F(SignApi, OptionsOfRsaDoNotMatterToOthers) {
  const std::string signature =
      SignatureOf(R"({"input":"aGk=","signature_algorithm":"pkcs1v15","salt_length":9999})");
  EXPECT_EQ(Verdict(signature), "true");
  EXPECT_EQ(Verdict(signature, R"("input":"aGk=","signature_algorithm":"dice")"), "true");
}

TEST_F(SignApi, RsaTakesSaltLengthAsTextOrNumber) {
  Make("rsa", "rsa-2048");
  const std::string path = "/v1/dev/sign/rsa";
  for (const char* salt : {R"("hash")", "32", "\"32\"", "-1", "\"Auto\"", "0"}) {
    const std::string more = R"("input":"aGk=","salt_length":)" + std::string(salt);
    const std::string signature = SignatureOf("{" + more + "}", path);
    EXPECT_EQ(Verdict(signature, more, "/v1/dev/verify/rsa"), "true") << salt;
    EXPECT_EQ(Verdict(signature, R"("input":"aGk=")", "/v1/dev/verify/rsa"), "true") << salt;
  }
  const std::string old =
      SignatureOf(R"({"input":"aGk=","signature_algorithm":"pkcs1v15"})", path);
  EXPECT_EQ(Verdict(old, R"("input":"aGk=")", "/v1/dev/verify/rsa"), "false");
  EXPECT_EQ(Verdict(old, R"("input":"aGk=","signature_algorithm":"pkcs1v15")",
                    "/v1/dev/verify/rsa"),
            "true");
}

TEST_F(SignApi, C5_VersionsAreChosenAsNumberOrTextAboveTheMinimum) {
  api_.Post("/v1/dev/keys/ec/rotate");
  api_.Post("/v1/dev/keys/ec/rotate");
  const std::string first = SignatureOf(R"({"input":"aGk=","key_version":"1"})");
  EXPECT_THAT(first, StartsWith("vault:v1:"));
  EXPECT_THAT(SignatureOf(R"({"input":"aGk=","key_version":2})"), StartsWith("vault:v2:"));
  EXPECT_THAT(SignatureOf(R"({"input":"aGk="})"), StartsWith("vault:v3:"));
  api_.Post("/v1/dev/keys/ec/config", R"({"min_encryption_version":2})");
  EXPECT_EQ(api_.Post(kSign, R"({"key_version":1})").body,
            Errors("requested version for signing is less than the minimum encryption key version"));
  EXPECT_EQ(Verdict(first), "true");
  api_.Post("/v1/dev/keys/ec/config", R"({"min_decryption_version":2})");
  EXPECT_EQ(Verdict(first),
            Errors("ciphertext or signature version is disallowed by policy (too old)"));
}

TEST_F(SignApi, ABatchAnswers200WithItsErrorsAmongTheResults) {
  const ApiAnswer answer =
      api_.Post("/v1/dev/sign/ed", R"({"input":"ignored!","context":"!","batch_input":[
        {"input":"aGk=","reference":"a"},{"reference":"b"},{"input":"!"},
        {"input":"aGk=","context":"!"}]})");
  EXPECT_EQ(answer.status, 200);
  const std::string signature = TextAfter(answer.body, R"("signature":")");
  EXPECT_EQ(
      WithoutRequestId(answer.body),
      Envelope(R"({"batch_results":[{"signature":")" + signature +
               R"(","key_version":1,"reference":"a"},)"
               R"({"key_version":0,"error":"missing input","reference":"b"},{"key_version":0,)"
               R"("error":"unable to decode input as base64: illegal base64 data at input byte 0",)"
               R"("reference":""},{"key_version":0,"error":"failed to base64-decode context",)"
               R"("reference":""}]})"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("failed_items":3)"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("items":4)"));
}

TEST_F(SignApi, ABatchOfADerivedKeySaysPublickeyInOneWord) {
  Make("derived", "ed25519", R"(,"derived":true)");
  const ApiAnswer answer = api_.Post(
      "/v1/dev/sign/derived",
      R"({"batch_input":[{"input":"aGk=","context":"dGVuYW50LTQy"},{"input":"aGk="}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"(,"key_version":1,"publickey":")"));
  EXPECT_THAT(answer.body, Not(HasSubstr("public_key")));
  EXPECT_THAT(answer.body, HasSubstr(R"({"key_version":0,"error":"missing 'context' for key)"));
}

TEST_F(SignApi, AVerifyBatchSaysValidInEveryItem) {
  const std::string one = SignatureOf(R"({"input":"MQ=="})");
  const std::string item = R"({"signature":")" + one + R"(","input":)";
  const ApiAnswer answer =
      api_.Post(kVerify, R"({"batch_input":[)" + item + R"("MQ==","reference":"a"},)" + item +
                             R"("Mg=="},{"signature":")" + one +
                             R"("},{"signature":"x","input":""}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope(R"({"batch_results":[{"valid":true,"reference":"a"},)"
                     R"({"valid":false,"reference":""},)"
                     R"({"valid":false,"error":"missing input","reference":""},)"
                     R"({"valid":false,"error":"invalid signature: no prefix","reference":""}]})"));
}

TEST_F(SignApi, A14_OneBadItemAmongAThousandIsTheOnlyFailure) {
  std::string items;
  for (int i = 0; i < 1'000; ++i) {
    items += i == 0 ? "" : ",";
    items += i == 617 ? R"({"input":"!","reference":"617"})" : R"({"input":"aGk="})";
  }
  const ApiAnswer answer = api_.Post("/v1/dev/sign/ed", R"({"batch_input":[)" + items + "]}");
  EXPECT_EQ(answer.status, 200);
  std::size_t signatures = 0;
  for (std::size_t at = answer.body.find(R"("signature")"); at != std::string::npos;
       at = answer.body.find(R"("signature")", at + 1)) {
    ++signatures;
  }
  EXPECT_EQ(signatures, 999U);
  EXPECT_THAT(answer.body, HasSubstr(R"(byte 0","reference":"617")"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("failed_items":1)"));
  EXPECT_THAT(api_.audit.records().back(), HasSubstr(R"("items":1000)"));
}

TEST_F(SignApi, A14_NoItemsAndTooManyAreRefusedWhole) {
  for (const char* path : {kSign, kVerify}) {
    EXPECT_EQ(api_.Post(path, R"({"batch_input":[]})").body,
              Errors("missing batch input to process"));
    std::string items = R"({"batch_input":[{"input":""})";
    for (int i = 1; i < 100'000; ++i) {
      items += R"(,{"input":""})";
    }
    const std::size_t before = api_.audit.records().size();
    const ApiAnswer answer = api_.Post(path, items + "]}");
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.body.find("signature"), std::string::npos);
    EXPECT_LE(api_.audit.records().size(), before + 1) << "never half audited";
    EXPECT_THAT(api_.audit.records().back(), Not(HasSubstr("\"items\":")));
  }
  std::string items = R"({"batch_input":[{"input":""})";
  for (int i = 0; i < 10'000; ++i) {
    items += R"(,{"input":""})";
  }
  EXPECT_EQ(api_.Post(kSign, items + "]}").body, Errors("batch_input has more than 10000 items"));
}

TEST_F(SignApi, A14_SignaturesOfSeveralVersionsAndKeysAreJudgedOneByOne) {
  const std::string first = SignatureOf(R"({"input":"aGk="})");
  api_.Post("/v1/dev/keys/ec/rotate");
  const std::string second = SignatureOf(R"({"input":"aGk="})");
  const std::string foreign = SignatureOf(R"({"input":"aGk="})", "/v1/dev/sign/ed");
  const auto item = [](const std::string& signature) {
    return R"({"input":"aGk=","signature":")" + signature + "\"}";
  };
  const ApiAnswer answer = api_.Post(kVerify, R"({"batch_input":[)" + item(first) + "," +
                                                  item(foreign) + "," + item(second) + "]}");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"([{"valid":true,"reference":""},{"valid":false,"error":)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("reference":""},{"valid":true,"reference":""}])"));
}

TEST_F(SignApi, C8_EnvironmentsDoNotVerifyEachOthersSignatures) {
  api_.Post("/v1/prod/keys/ec", R"({"type":"ecdsa-p256"})");
  EXPECT_EQ(Verdict(SignatureOf(R"({"input":"aGk="})"), R"("input":"aGk=")", "/v1/prod/verify/ec"),
            "false");
}

TEST_F(SignApi, ASoftDeletedKeyNeitherSignsNorVerifies) {
  const std::string signature = SignatureOf(R"({"input":"aGk="})");
  api_.Delete("/v1/dev/keys/ec/soft-delete");
  const std::string refused = Errors("refusing to use soft-deleted key");
  EXPECT_EQ(api_.Post(kSign, R"({"input":"aGk="})").body, refused);
  EXPECT_EQ(Verdict(signature), refused);
  EXPECT_EQ(api_.Post("/v1/dev/hmac/ec", R"({"input":"aGk="})").body, refused);
  EXPECT_EQ(api_.Post(kVerify, R"({"input":"aGk=","hmac":"vault:v1:AAAA"})").body, refused);
  api_.Post("/v1/dev/keys/ec/soft-delete-restore");
  EXPECT_EQ(Verdict(signature), "true");
}

TEST_F(SignApi, NothingIsCreatedOnDemand) {
  api_.Post("/v1/dev/sign/fresh", R"({"input":""})");
  EXPECT_EQ(api_.Get("/v1/dev/keys/fresh").status, 404);
}

TEST_F(SignApi, L13_TheRecordNamesKeyAndVersionAndHoldsNoData) {
  const std::string signature = SignatureOf(R"({"input":"Y2FuYXJ5"})");
  EXPECT_EQ(Verdict(signature, R"("input":"Y2FuYXJ5")"), "true");
  const auto records = api_.audit.records();
  for (const std::string& record : {records.back(), records[records.size() - 2]}) {
    EXPECT_THAT(record, HasSubstr(R"("key":{"name":"ec","version":1})"));
    EXPECT_THAT(record, Not(HasSubstr(signature.substr(9))));
    EXPECT_THAT(record, Not(HasSubstr("Y2FuYXJ5")));
  }
}

TEST_F(SignApi, HmacKeysOfEverySizeMakeHmacs) {
  for (const char* size : {"32", "33", "64", "512"}) {
    const std::string name = std::string("mac-") + size;
    Make(name, "hmac", R"(,"key_size":)" + std::string(size));
    const ApiAnswer made = api_.Post("/v1/dev/hmac/" + name, R"({"input":"aGk="})");
    EXPECT_EQ(made.status, 200) << made.body;
    const std::string hmac = TextAfter(made.body, R"("hmac":")");
    EXPECT_THAT(api_.Post("/v1/dev/verify/" + name, R"({"input":"aGk=","hmac":")" + hmac + "\"}")
                    .body,
                HasSubstr(R"("valid":true)"));
    EXPECT_EQ(api_.Post("/v1/dev/sign/" + name, R"({"input":"aGk="})").body,
              Errors("key type hmac does not support signing"));
    EXPECT_THAT(api_.Get("/v1/dev/keys/" + name).body,
                HasSubstr(R"("key_size":)" + std::string(size)));
  }
}

}  // namespace
}  // namespace kms::testing
