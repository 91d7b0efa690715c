// SPDX-License-Identifier: Apache-2.0
// Soft delete: every use is refused in every lane, administration goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kRefusal = "refusing to use soft-deleted key";

std::string CiphertextOf(const ApiAnswer& answer) {
  return TextAfter(answer.body, R"("ciphertext":")");
}

struct Use {
  const char* target;
  std::string body;
};

TEST(SoftDelete, C18_EveryUseIsRefusedInBothLanesAtOnce) {
  ApiService api;
  api.Post("/v1/dev/keys/app", R"({"exportable":true,"allow_plaintext_backup":true})");
  const std::string ciphertext =
      CiphertextOf(api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})"));
  ASSERT_TRUE(ciphertext.starts_with("vault:v1:"));
  EXPECT_EQ(api.Delete("/v1/dev/keys/app/soft-delete").status, 200);

  const std::string input = R"({"ciphertext":")" + ciphertext + R"("})";
  const Use uses[] = {
      {"/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})"},
      {"/v1/dev/encrypt/app", R"({"batch_input":[{"plaintext":"aGVsbG8="}]})"},
      {"/v1/dev/decrypt/app", input},
      {"/v1/dev/rewrap/app", input},
      {"/v1/dev/datakey/plaintext/app", "{}"},
      {"/v1/dev/datakey/wrapped/app", "{}"},
      {"/v1/dev/hmac/app", R"({"input":"aGVsbG8="})"},
      {"/v1/dev/keys/app/rotate", "{}"},
  };
  for (const Use& use : uses) {
    const ApiRequest request =
        ApiService::WithToken({api::HttpMethod::kPost, use.target, use.body, {}});
    for (const ApiAnswer& answer : {api.Call(request), api.CallOnLoop(request)}) {
      EXPECT_EQ(answer.status, 400) << use.target;
      EXPECT_THAT(answer.body, HasSubstr(kRefusal)) << use.target;
      EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("vault:v"))) << use.target;
    }
  }
  for (const char* target : {"/v1/dev/export/encryption-key/app", "/v1/dev/backup/app"}) {
    EXPECT_THAT(api.Get(target).body, HasSubstr(kRefusal)) << target;
  }
}

TEST(SoftDelete, C18_NoSignatureIsMadeOrVerified) {
  ApiService api;
  api.Post("/v1/dev/keys/app", R"({"type":"ed25519"})");
  const std::string signature = TextAfter(
      api.Post("/v1/dev/sign/app", R"({"input":"aGVsbG8="})").body, R"("signature":")");
  ASSERT_TRUE(signature.starts_with("vault:v1:"));
  api.Delete("/v1/dev/keys/app/soft-delete");
  EXPECT_THAT(api.Post("/v1/dev/sign/app", R"({"input":"aGVsbG8="})").body, HasSubstr(kRefusal));
  EXPECT_THAT(api.Post("/v1/dev/verify/app",
                       R"({"input":"aGVsbG8=","signature":")" + signature + R"("})").body,
              HasSubstr(kRefusal));
}

TEST(SoftDelete, AdministrationGoesOnAndRestoringBringsEverythingBack) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  const std::string ciphertext =
      CiphertextOf(api.Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})"));
  const ApiAnswer deleted = api.Delete("/v1/dev/keys/app/soft-delete");
  EXPECT_THAT(deleted.body, HasSubstr(R"("soft_deleted":true)"));

  EXPECT_EQ(api.Get("/v1/dev/keys/app").status, 200);
  EXPECT_THAT(api.List("/v1/dev/keys").body, HasSubstr(R"("app")"));
  EXPECT_EQ(api.Post("/v1/dev/keys/app/config", R"({"exportable":true})").status, 200);
  const ApiAnswer restored = api.Post("/v1/dev/keys/app/soft-delete-restore");
  EXPECT_THAT(restored.body, HasSubstr(R"("soft_deleted":false)"));

  const ApiAnswer decrypted =
      api.Post("/v1/dev/decrypt/app", R"({"ciphertext":")" + ciphertext + R"("})");
  EXPECT_EQ(decrypted.status, 200);
  EXPECT_THAT(decrypted.body, HasSubstr("aGVsbG8="));
}

TEST(SoftDelete, WarnsWhenThereIsNothingToDo) {
  ApiService api;
  api.Post("/v1/dev/keys/app");
  EXPECT_THAT(api.Post("/v1/dev/keys/app/soft-delete-restore").body,
              HasSubstr("key was already restored"));
  api.Delete("/v1/dev/keys/app/soft-delete");
  const ApiAnswer again = api.Delete("/v1/dev/keys/app/soft-delete");
  EXPECT_EQ(again.status, 200);
  EXPECT_THAT(again.body, HasSubstr("key was already marked as soft deleted"));
}

TEST(SoftDelete, OfAnUnknownKeyAnswers204) {
  ApiService api;
  EXPECT_EQ(api.Delete("/v1/dev/keys/none/soft-delete").status, 204);
  EXPECT_EQ(api.Post("/v1/dev/keys/none/soft-delete-restore").status, 204);
}

}  // namespace
}  // namespace kms::testing
