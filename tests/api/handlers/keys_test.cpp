// SPDX-License-Identifier: Apache-2.0
// keys/…: create, read, list, delete, config, rotate, trim, with exact bodies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

// KeyInfo of a fresh key at the fake clock's start.
std::string KeyInfo(std::string_view name, std::string_view type = "aes256-gcm96") {
  return R"({"name":")" + std::string(name) + R"(","type":")" + std::string(type) +
         R"(","derived":false,"deletion_allowed":false,"exportable":false,)"
         R"("allow_plaintext_backup":false,"min_available_version":0,"min_decryption_version":1,)"
         R"("min_encryption_version":0,"latest_version":1,"keys":{"1":1767225600},)"
         R"("supports_encryption":true,"supports_decryption":true,"supports_signing":false,)"
         R"("supports_derivation":true,"auto_rotate_period":0,"imported_key":false,)"
         R"("soft_deleted":false,)"
         R"("usage":{"1":{"encryptions":0,"limit":4278190080,"encryptions_per_day":0}}})";
}

TEST(CreateKey, AnswersWithTheKeyObject) {
  ApiService api;
  const ApiAnswer answer = api.Post("/v1/dev/keys/app");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(WithoutRequestId(answer.body), Envelope(KeyInfo("app")));
}

TEST(CreateKey, OfAnExistingKeyChangesNothingAndWarns) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer again = api.Post("/v1/dev/keys/app", R"({"type":"chacha20-poly1305"})");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(WithoutRequestId(again.body),
            Envelope(KeyInfo("app"), R"(["key app already existed"])"));
}

TEST(CreateKey, TakesPutEmptyBodyAndNull) {
  ApiService api;
  for (const char* body : {"", "null", "{}", " \n"}) {
    const ApiAnswer answer =
        api.Call(ApiService::WithToken({api::HttpMethod::kPut, "/v1/dev/keys/app", body, {}}));
    EXPECT_EQ(answer.status, 200) << body;
  }
}

TEST(ReadKey, OfNothingIs404WithoutText) {
  ApiService api;
  const ApiAnswer answer = api.Get("/v1/dev/keys/none");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "{\"errors\":[]}\n");
}

TEST(ListKeys, HasTwoSpellingsWithAndWithoutSlash) {
  ApiService api;
  api.Post("/v1/dev/keys/b");
  api.Post("/v1/dev/keys/a");
  const std::string expected = Envelope(R"({"keys":["a","b"]})");
  EXPECT_EQ(WithoutRequestId(api.List("/v1/dev/keys").body), expected);
  EXPECT_EQ(WithoutRequestId(api.List("/v1/dev/keys/").body), expected);
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/keys?list=true").body), expected);
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/keys/?list=1").body), expected);
}

TEST(ListKeys, PagesByAfterAndLimit) {
  ApiService api;
  for (const char* name : {"a", "b", "c", "d"}) {
    api.Post("/v1/dev/keys/" + std::string(name));
  }
  EXPECT_EQ(WithoutRequestId(api.List("/v1/dev/keys?after=a&limit=2").body),
            Envelope(R"({"keys":["b","c"]})"));
  EXPECT_EQ(api.List("/v1/dev/keys?after=d").status, 404);
}

TEST(ListKeys, OfNothingIs404WithoutText) {
  ApiService api;
  const ApiAnswer answer = api.List("/v1/dev/keys");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "{\"errors\":[]}\n");
}

TEST(DeleteKey, NeedsPermissionOfTheKeyAndAnswers204) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer refused = api.Delete("/v1/dev/keys/app");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body,
            Errors("error deleting policy app: deletion is not allowed for this key"));
  api.Post("/v1/dev/keys/app/config", R"({"deletion_allowed":true})");
  const ApiAnswer deleted = api.Delete("/v1/dev/keys/app");
  EXPECT_EQ(deleted.status, 204);
  EXPECT_EQ(deleted.body, "");
  EXPECT_EQ(deleted.content_type, "");
  EXPECT_EQ(api.Get("/v1/dev/keys/app").status, 404);
}

TEST(RotateKey, AddsAVersion) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer = api.Post("/v1/dev/keys/app/rotate");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("latest_version":2,"keys":{"1":1767225600,"2":1767225600})"));
}

TEST(ConfigureKey, CarriesTheOperationsWarnings) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const ApiAnswer answer =
      api.Post("/v1/dev/keys/app/config", R"({"min_decryption_version":0,"min_encryption_versoin":1})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body,
              HasSubstr("since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1"));
  EXPECT_THAT(answer.body, HasSubstr("Endpoint ignored these unrecognized parameters: "
                                     "[min_encryption_versoin]"));
}

TEST(TrimKey, DestroysVersionsBelowTheMinimum) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  for (int i = 0; i < 10; ++i) {
    api.Post("/v1/dev/keys/app/rotate");
  }
  api.Post("/v1/dev/keys/app/config",
           R"({"min_decryption_version":3,"min_encryption_version":9})");
  const ApiAnswer answer = api.Post("/v1/dev/keys/app/trim", R"({"min_available_version":2})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("min_available_version":2)"));
}

struct ErrorRow {
  const char* target;
  const char* body;
  int status;
  const char* text;
};

TEST(KeyEndpoints, AnswerUserErrorsWithTheContractsTexts) {
  const ErrorRow rows[] = {
      {"keys/new", R"({"type":"rot13"})", 400, "unknown key type rot13"},
      {"keys/new", R"({"auto_rotate_period":"30m"})", 400,
       "auto rotate period must be 0 to disable or at least an hour"},
      {"keys/new", R"({"convergent_encryption":true})", 400,
       "convergent encryption requires derivation to be enabled"},
      {"keys/new", R"({"key_size":32})", 400, "key_size is not valid for algorithm aes256-gcm96"},
      {"keys/new", R"({"exportable":"maybe"})", 400,
       "Field validation failed: error converting input for field \"exportable\": expected a "
       "boolean"},
      {"keys/new", R"({"auto_rotate_period":-5})", 400,
       "Field validation failed: error converting input for field \"auto_rotate_period\": cannot "
       "provide negative value"},
      {"keys/none/config", "{}", 400, "no existing key named none could be found"},
      {"keys/app/config", R"({"min_decryption_version":-1})", 400,
       "min decryption version cannot be negative"},
      {"keys/app/config", R"({"min_decryption_version":7})", 400,
       "cannot set min decryption version of 7, latest key version is 3"},
      {"keys/app/config", R"({"min_encryption_version":-1})", 400,
       "min encryption version cannot be negative"},
      {"keys/app/config", R"({"min_encryption_version":9})", 400,
       "cannot set min encryption version of 9, latest key version is 3"},
      {"keys/app/config", R"({"min_encryption_version":1,"min_decryption_version":2})", 400,
       "cannot set min encryption/decryption values; min encryption version of 1 must be greater "
       "than or equal to min decryption version of 2"},
      {"keys/app/config", R"({"auto_rotate_period":60})", 400,
       "auto rotate period must be 0 to disable or at least an hour"},
      {"keys/none/rotate", "", 400, "key not found"},
      {"keys/none/trim", "{}", 400, "invalid key name"},
      {"keys/app/trim", "{}", 400, "missing min_available_version"},
      {"keys/app/trim", R"({"min_available_version":2})", 400,
       "minimum available version cannot be set when minimum encryption version is not set"},
      {"cache-config", R"({"size":5})", 400, "size must be 0 or a value greater or equal to 10"},
      {"keys/a$b", "{}", 400, "invalid key name"},
      {"keys/app/", "{}", 400, "cannot write to a path ending in '/'"},
      {"keys/app/unknown", "{}", 404, "1 error occurred:\n\t* unsupported path\n\n"},
      {"keys", "{}", 405, "1 error occurred:\n\t* unsupported operation\n\n"},
  };
  ApiService api;
  api.Post("/v1/dev/keys/app");
  api.Post("/v1/dev/keys/app/rotate");
  api.Post("/v1/dev/keys/app/rotate");
  for (const ErrorRow& row : rows) {
    const ApiAnswer answer = api.Post("/v1/dev/" + std::string(row.target), row.body);
    EXPECT_EQ(answer.status, row.status) << row.target << " " << row.body << " " << answer.body;
    EXPECT_EQ(answer.body, Errors(row.text)) << row.target << " " << row.body;
  }
}

TEST(KeysConfig, IsStoredAndReadBack) {
  ApiService api;
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/config/keys").body),
            Envelope(R"({"disable_upsert":false})"));
  EXPECT_EQ(WithoutRequestId(api.Post("/v1/dev/config/keys", R"({"disable_upsert":true})").body),
            Envelope(R"({"disable_upsert":true})"));
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/config/keys").body),
            Envelope(R"({"disable_upsert":true})"));
}

TEST(CacheConfig, IsStoredAndReadBack) {
  ApiService api;
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/cache-config").body), Envelope(R"({"size":0})"));
  EXPECT_EQ(WithoutRequestId(api.Post("/v1/dev/cache-config", R"({"size":"500"})").body),
            Envelope(R"({"size":500})"));
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/cache-config").body), Envelope(R"({"size":500})"));
}

TEST(CacheConfig, ATunedOptionThatIsNoNumberCannotWriteIntoTheAnswer) {
  ApiService api;
  const ApiAnswer tuned = api.Post("/v1/sys/mounts/dev/tune",
                                   R"({"options":{"cache_size":"1},\"errors\":{\"x\":1"}})");
  ASSERT_EQ(tuned.status, 204);
  EXPECT_EQ(WithoutRequestId(api.Get("/v1/dev/cache-config").body), Envelope(R"({"size":1})"));
}

}  // namespace
}  // namespace kms::testing
