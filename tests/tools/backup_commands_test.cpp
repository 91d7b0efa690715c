// SPDX-License-Identifier: Apache-2.0
// kmsctl key backup and restore-backup: requests, files, and what is never printed.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

class BackupCommands : public KmsctlTest {
 protected:
  [[nodiscard]] std::string File(const std::string& name) const {
    return directory_.path() + "/" + name;
  }

  TemporaryDirectory directory_;
};

TEST_F(BackupCommands, ABackupGoesToAFileOfItsOwner) {
  ReplyData({{"backup", "eyJwb2xpY3kiOnt9fQ=="}});
  const std::string file = File("orders.backup");
  const ToolRun run = Run({"key", "backup", "orders", "-e", "prod", "--out", file});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().method, "GET");
  EXPECT_EQ(OnlyRequest().target, "/v1/prod/backup/orders");
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(ReadFile(file), "eyJwb2xpY3kiOnt9fQ==\n");
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(BackupCommands, ARefusedBackupLeavesNoFile) {
  ReplyError(500, "1 error occurred:\n\t* plaintext backup is disallowed on the policy\n\n");
  const std::string file = File("orders.backup");
  const ToolRun run = Run({"key", "backup", "orders", "--out", file});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("plaintext backup is disallowed on the policy"));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(BackupCommands, RestoringTakesTheNameOfTheBackupOrAnother) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"key", "restore-backup", "-e", "prod"}, "YmxvYg==\n").status, 0);
  EXPECT_EQ(OnlyRequest().target, "/v1/prod/restore");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"backup", "YmxvYg=="}}));
}

TEST_F(BackupCommands, ForcingIsAskedFor) {
  EXPECT_EQ(Run({"key", "restore-backup", "copy", "--force"}, "YmxvYg==").status, 2);
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"key", "restore-backup", "copy", "--force", "--yes"}, "YmxvYg==").status,
            0);
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/restore/copy");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"backup", "YmxvYg=="}, {"force", "true"}}));
}

}  // namespace
}  // namespace kms::testing
