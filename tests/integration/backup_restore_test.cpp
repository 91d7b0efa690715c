// SPDX-License-Identifier: Apache-2.0
// The real kmsd, backed up while it works and rotates, restored, and set back in every way that the
// HSM token remembers.
#include <gmock/gmock.h>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kPlaintext = "aGVsbG8=";

class BackupRestoreTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log(); }

  static json DataOf(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, false);
    return body.is_object() && body.contains("data") ? body["data"] : json{};
  }
  std::string Ctl(const std::vector<std::string>& arguments, int* status = nullptr) {
    std::vector<std::string> command = {
        "/usr/bin/env", "KMS_ADDR=http://127.0.0.1:" + std::to_string(kmsd_.port()),
        "KMS_TOKEN=" + kmsd_.token(), std::string(KMS_BINARY_DIR) + "/kmsctl"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::string output;
    const int exit_status = RunProgram(command, &output);
    if (status != nullptr) {
      *status = exit_status;
    } else {
      EXPECT_EQ(exit_status, 0) << output;
    }
    return output;
  }
  std::string ConfigFile() {
    const std::string path = directory_.path() + "/kms.json";
    std::string text;
    EXPECT_EQ(RunProgram({std::string(KMS_BINARY_DIR) + "/kmsd", "dev", "--state-dir", state_,
                          "--print-config"},
                         &text),
              0)
        << text;
    WriteFile(path, text);
    return path;
  }
  int Restore(const std::vector<std::string>& flags, std::string* output) {
    std::vector<std::string> command = {std::string(KMS_BINARY_DIR) + "/kmsd",
                                        "restore",
                                        "--config",
                                        ConfigFile(),
                                        "--from",
                                        backup_};
    command.insert(command.end(), flags.begin(), flags.end());
    return RunProgram(command, output);
  }
  static void CopyStore(const std::string& from, const std::string& to) {
    fs::create_directories(to);
    for (const char* name : {"store.db", "store.db-wal", "store.db-shm", "audit.log"}) {
      fs::remove(to + "/" + name);
      if (fs::exists(from + "/" + name)) {
        fs::copy_file(from + "/" + name, to + "/" + name);
      }
    }
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  std::string backup_ = directory_.path() + "/kms.backup";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
};

TEST_F(BackupRestoreTest, D12_StoreAndAuditLogSetBackTogetherAreRefusedByTheToken) {
  ASSERT_EQ(kmsd_.Terminate(), 0);
  CopyStore(state_, directory_.path() + "/old");
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.NewClient()->Post("/v1/dev/keys/lost").status, 200);
  ASSERT_EQ(kmsd_.Terminate(), 0);
  CopyStore(directory_.path() + "/old", state_);
  EXPECT_FALSE(kmsd_.Start());
  EXPECT_THAT(kmsd_.Log(), AllOf(HasSubstr("older than the epoch that HSM default keeps"),
                                 HasSubstr("--accept-rollback")));
  ASSERT_TRUE(kmsd_.Start({"--accept-rollback"})) << kmsd_.Log();
  EXPECT_THAT(ReadFile(state_ + "/audit.log"), HasSubstr("store_rollback_accepted"));
  ASSERT_EQ(kmsd_.Terminate(), 0);
  ASSERT_TRUE(kmsd_.Start()) << "accepted once is enough: " << kmsd_.Log();
}

TEST_F(BackupRestoreTest, D11_AnEntryDeletedWithSqliteIsNoticedAndNamed) {
  ASSERT_EQ(kmsd_.NewClient()
                ->Post("/v1/sys/policies/acl/no-prod",
                       R"({"policy":"path \"prod/*\" { capabilities = [\"deny\"] }"})")
                .status,
            204);
  ASSERT_EQ(kmsd_.Terminate(), 0);
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((state_ + "/store.db").c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, "DELETE FROM entry WHERE path LIKE '%no-prod%'", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  EXPECT_EQ(sqlite3_changes(database), 1);
  sqlite3_close(database);
  EXPECT_FALSE(kmsd_.Start());
  EXPECT_THAT(kmsd_.Log(), AllOf(HasSubstr("changed past the service"), HasSubstr("of sys"),
                                 HasSubstr("entries instead of")));
}

TEST_F(BackupRestoreTest, CheckpointsAreSignedWithTheEpoch) {
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string output;
  EXPECT_EQ(RunProgram({std::string(KMS_BINARY_DIR) + "/kmsd", "verify-audit", "--json",
                        state_ + "/audit.log"},
                       &output),
            0)
      << output;
  const json report = json::parse(output, nullptr, false);
  ASSERT_TRUE(report.is_object()) << output;
  EXPECT_GT(report["epoch"].get<std::uint64_t>(), 0U);
  EXPECT_FALSE(report["store_digest"].get<std::string>().empty());
}

TEST_F(BackupRestoreTest, D27_ADamagedBackupLeavesTheStoreAlone) {
  Ctl({"backup", "create", "--out", backup_});
  EXPECT_THAT(Ctl({"backup", "check", backup_}), HasSubstr("of this service"));
  std::string bytes = ReadFile(backup_);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  WriteFile(backup_, bytes);
  int status = 0;
  EXPECT_THAT(Ctl({"backup", "check", "--offline", backup_}, &status), HasSubstr("damaged"));
  EXPECT_NE(status, 0);
  ASSERT_EQ(kmsd_.Terminate(), 0);
  const std::string before = ReadFile(state_ + "/store.db");
  std::string output;
  EXPECT_NE(Restore({"--accept-rollback"}, &output), 0) << output;
  EXPECT_EQ(ReadFile(state_ + "/store.db"), before);
  EXPECT_TRUE(kmsd_.Start()) << kmsd_.Log();
}

TEST_F(BackupRestoreTest, ARunningServiceIsNotRestored) {
  Ctl({"backup", "create", "--out", backup_});
  std::string output;
  EXPECT_NE(Restore({"--accept-rollback"}, &output), 0);
  EXPECT_THAT(output, HasSubstr("in use"));
}

TEST_F(BackupRestoreTest, D29_WhatWasReturnedBeforeABackupUnderLoadDecryptsAfterItsRestore) {
  const std::vector<std::string> keys = {"alpha", "beta", "gamma"};
  for (const std::string& key : keys) {
    ASSERT_EQ(kmsd_.NewClient()->Post("/v1/dev/keys/" + key).status, 200);
  }
  std::mutex mutex;
  std::vector<std::pair<std::string, std::string>> returned;  // key, ciphertext
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (const std::string& key : keys) {
    threads.emplace_back([&, key] {
      const auto client = kmsd_.NewClient();
      for (int round = 0; !stop; ++round) {
        if (round % 8 == 7) {
          EXPECT_EQ(client->Post("/v1/dev/keys/" + key + "/rotate").status, 200);
        }
        const HttpReply reply =
            client->Post("/v1/dev/encrypt/" + key, json{{"plaintext", kPlaintext}}.dump());
        EXPECT_EQ(reply.status, 200) << reply.body;
        const std::lock_guard lock(mutex);
        returned.emplace_back(key, DataOf(reply)["ciphertext"].get<std::string>());
      }
    });
  }
  const auto enough = [&](std::size_t count) {
    return Eventually([&] {
      const std::lock_guard lock(mutex);
      return returned.size() >= count;
    });
  };
  // Re-sealing goes on meanwhile.
  EXPECT_LT(kmsd_.NewClient()->Post("/v1/sys/environments/dev/rotate-key", "{}").status, 300);
  EXPECT_TRUE(enough(60));
  std::size_t before = 0;
  {
    const std::lock_guard lock(mutex);
    before = returned.size();
  }
  Ctl({"backup", "create", "--out", backup_});
  EXPECT_TRUE(enough(before + 60));
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string output;
  EXPECT_NE(Restore({}, &output), 0);
  EXPECT_THAT(output, HasSubstr("the backup is older"));
  ASSERT_EQ(Restore({"--accept-rollback"}, &output), 0) << output;
  EXPECT_FALSE(kmsd_.Start()) << "an older store is not served unasked";
  ASSERT_TRUE(kmsd_.Start({"--accept-rollback"})) << kmsd_.Log();
  const auto client = kmsd_.NewClient();
  for (std::size_t index = 0; index < before; ++index) {
    const HttpReply opened = client->Post("/v1/dev/decrypt/" + returned[index].first,
                                          json{{"ciphertext", returned[index].second}}.dump());
    ASSERT_EQ(opened.status, 200) << index << " " << opened.body;
    ASSERT_EQ(DataOf(opened)["plaintext"], kPlaintext);
  }
  EXPECT_TRUE(fs::exists(state_ + "/store.db.before-restore"));
}

}  // namespace
}  // namespace kms::testing
