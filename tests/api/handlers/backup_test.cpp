// SPDX-License-Identifier: Apache-2.0
// backup and restore: statuses, texts, what audit sees (transit-api 6.23, 8.3).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class BackupApi : public ::testing::Test {
 protected:
  std::string BackUp(const std::string& name) {
    const ApiAnswer answer = api_.Get("/v1/dev/backup/" + name);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(answer.holds_secret);
    return TextAfter(answer.body, R"("backup":")");
  }

  ApiService api_;
};

TEST_F(BackupApi, RefusalsOfThePolicyStay500) {
  api_.Post("/v1/dev/keys/app");
  ApiAnswer answer = api_.Get("/v1/dev/backup/app");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body,
            Errors("1 error occurred:\n\t* exporting is disallowed on the policy\n\n"));
  api_.Post("/v1/dev/keys/app/config", R"({"exportable":true})");
  answer = api_.Get("/v1/dev/backup/app");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body,
            Errors("1 error occurred:\n\t* plaintext backup is disallowed on the policy\n\n"));
  answer = api_.Get("/v1/dev/backup/other");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, Errors("key \"other\" not found"));
}

TEST_F(BackupApi, AKeyOfEveryTypeMovesToAnotherEnvironment) {
  for (const char* type : {"aes128-gcm96", "xchacha20-poly1305", "ed25519", "ecdsa-p384", "rsa-2048",
                           "hmac"}) {
    const std::string name = std::string("k-") + type;
    api_.Post("/v1/dev/keys/" + name, R"({"type":")" + std::string(type) +
                                          R"(","exportable":true,"allow_plaintext_backup":true})");
    const ApiAnswer mac = api_.Post("/v1/dev/hmac/" + name, R"({"input":"aGk="})");
    const std::string blob = BackUp(name);
    const ApiAnswer restored = api_.Post("/v1/prod/restore", R"({"backup":")" + blob + "\"}");
    EXPECT_EQ(restored.status, 204) << restored.body;
    EXPECT_TRUE(restored.body.empty());
    const ApiAnswer again = api_.Post("/v1/prod/hmac/" + name, R"({"input":"aGk="})");
    EXPECT_EQ(WithoutRequestId(again.body), WithoutRequestId(mac.body)) << type;
    const ApiAnswer key = api_.Get("/v1/prod/keys/" + name);
    EXPECT_THAT(key.body, HasSubstr(R"("restore_info":{"time":")")) << type;
    EXPECT_THAT(key.body, HasSubstr(R"("backup_info":{"time":")")) << type;
  }
}

TEST_F(BackupApi, RestoringOverAKeyIs500AndForceReplacesIt) {
  api_.Post("/v1/dev/keys/app", R"({"exportable":true,"allow_plaintext_backup":true})");
  const std::string blob = BackUp("app");
  const std::string body = R"({"backup":")" + blob + "\"}";
  const ApiAnswer refused = api_.Post("/v1/dev/restore", body);
  EXPECT_EQ(refused.status, 500);
  EXPECT_EQ(refused.body, Errors("1 error occurred:\n\t* key \"app\" already exists\n\n"));
  EXPECT_EQ(api_.Post("/v1/dev/restore", R"({"force":true,"backup":")" + blob + "\"}").status, 204);
  EXPECT_EQ(api_.Post("/v1/dev/restore/copy", body).status, 204);
  EXPECT_EQ(api_.Get("/v1/dev/keys/copy").status, 200);
  // The name of a body counts for nothing (transit-api 1, 7).
  EXPECT_EQ(api_.Post("/v1/prod/restore", R"({"name":"other","backup":")" + blob + "\"}").status,
            204);
  EXPECT_EQ(api_.Get("/v1/prod/keys/app").status, 200);
  EXPECT_EQ(api_.Get("/v1/prod/keys/other").status, 404);
}

TEST_F(BackupApi, WhatIsNoBackupIsTheCallersMistake) {
  struct Row {
    const char* body;
    const char* text;
  };
  for (const Row& row :
       {Row{"{}", "'backup' must be supplied"},
        Row{R"({"backup":"%"})", "illegal base64 data at input byte 0"},
        Row{R"({"backup":"e30="})", "the backup cannot be restored: it is not the JSON of a backup"}}) {
    const ApiAnswer answer = api_.Post("/v1/dev/restore", row.body);
    EXPECT_EQ(answer.status, 400) << row.body;
    EXPECT_EQ(answer.body, Errors(row.text)) << row.body;
  }
}

// Key material never reaches the audit log, neither given nor answered.
TEST_F(BackupApi, TheAuditLogHasNoBlob) {
  api_.Post("/v1/dev/keys/app", R"({"exportable":true,"allow_plaintext_backup":true})");
  const std::string blob = BackUp("app");
  api_.Post("/v1/prod/restore", R"({"backup":")" + blob + "\"}");
  for (const std::string& record : api_.audit.records()) {
    EXPECT_THAT(record, Not(HasSubstr(blob.substr(0, 24))));
  }
}

}  // namespace
}  // namespace kms::testing
