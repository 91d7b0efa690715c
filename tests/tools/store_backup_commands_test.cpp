// SPDX-License-Identifier: Apache-2.0
// kmsctl backup …: requests, files, and that a damaged backup never appears as a file.
#include <gmock/gmock.h>

#include <filesystem>

#include "kms/base/base64.h"
#include "kms/crypto/backup_envelope.h"
#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StoreBackupCommands : public KmsctlTest {
 protected:
  static std::string Backup(const std::string& content = "the store") {
    const SecretBytes key = SecretBytes::CopyOf(Bytes(32, 1)).value();
    const Bytes head =
        EncodeBackupHead(AsBytes("header"), content.size(), Sha256(AsBytes(content)), key).value();
    return std::string(AsText(head)) + content;
  }
  static nlohmann::json Description() {
    return {{"id", "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11"},
            {"created", 1767225600},
            {"expires", 1775001600},
            {"expired", false},
            {"revision", 42},
            {"epoch", 40},
            {"master_keys",
             {{{"environment", "prod"},
               {"hsm", "default"},
               {"master_key_version", 3},
               {"master_key_id", "x"}}}}};
  }
  [[nodiscard]] std::string File(const std::string& name) const {
    return directory_.path() + "/" + name;
  }

  TemporaryDirectory directory_;
};

TEST_F(StoreBackupCommands, ADamagedBackupNeverBecomesAFile) {
  std::string damaged = Backup();
  damaged.back() = 'X';
  ReplyRaw(200, damaged);
  const ToolRun run = Run({"backup", "create", "--out", File("kms.backup")});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("do not match their checksum"));
  EXPECT_FALSE(std::filesystem::exists(File("kms.backup")));
  EXPECT_EQ(OnlyRequest().method, "GET");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/backup?keep=90d");
}

TEST_F(StoreBackupCommands, ARefusalLeavesNoFile) {
  ReplyError(403, "permission denied");
  const ToolRun run = Run({"backup", "create", "--out", File("kms.backup"), "--keep", "1h"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("permission denied"));
  EXPECT_FALSE(std::filesystem::exists(File("kms.backup")));
}

TEST_F(StoreBackupCommands, CheckOfflineComparesTheChecksumAlone) {
  WriteFile(File("good"), Backup());
  const ToolRun run = Run({"backup", "check", File("good"), "--offline"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("complete and undamaged"));
  EXPECT_THAT(server_.requests(), IsEmpty());
  WriteFile(File("short"), Backup().substr(0, 70));
  EXPECT_THAT(Run({"backup", "check", File("short"), "--offline"}).err, HasSubstr("truncated"));
  WriteFile(File("long"), Backup() + "x");
  EXPECT_THAT(Run({"backup", "check", File("long"), "--offline"}).err,
              HasSubstr("follows its end"));
  WriteFile(File("other"), std::string(200, 'x'));
  EXPECT_THAT(Run({"backup", "check", File("other"), "--offline"}).err,
              HasSubstr("no backup of a store"));
}

TEST_F(StoreBackupCommands, CheckAsksTheServiceWithTheHeadAlone) {
  ReplyData(Description());
  WriteFile(File("good"), Backup());
  const ToolRun run = Run({"backup", "check", File("good")});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("of this service"));
  EXPECT_THAT(run.out, HasSubstr("HSM default, master key version 3"));
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/backup/check");
  const std::string backup = Backup();
  EXPECT_EQ(Json(OnlyRequest().body)["head"],
            Base64Encode(AsBytes(backup.substr(0, backup.size() - 9))));
}

TEST_F(StoreBackupCommands, ListShowsWhatCounts) {
  ReplyData({{"keys", {"6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11"}},
             {"key_info", {{"6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11", Description()}}}});
  EXPECT_EQ(Run({"backup", "list"}).out,
            "ID                                    CREATED                  EXPIRES                "
            "  REVISION  EXPIRED\n"
            "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11  2026-01-01 00:00:00 UTC  2026-04-01 00:00:00 UTC"
            "  42        no\n");
  EXPECT_EQ(OnlyRequest().method, "LIST");
}

TEST_F(StoreBackupCommands, ForgetAsksFirst) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"backup", "forget", "an-id"}).status, 2);
  EXPECT_THAT(server_.requests(), IsEmpty());
  EXPECT_EQ(Run({"backup", "forget", "an-id", "--yes"}).out, "forgot backup an-id\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/backups/an-id");
}

}  // namespace
}  // namespace kms::testing
