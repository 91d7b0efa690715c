// SPDX-License-Identifier: Apache-2.0
// kill -9 of `kmsd restore` at counted calls and at random moments: the store is the old one or the
// backup's, whole (D28). And of kmsd while a backup is made (D2).
#include <gmock/gmock.h>
#include <signal.h>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPlaintext = "aGVsbG8=";
constexpr int kKilled = 128 + SIGKILL;

json DataOf(const HttpReply& reply) {
  const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  return body.is_object() && body.contains("data") ? body["data"] : json::object();
}

// Everything that a store file and its log say, or why it cannot be read. Reads a copy.
std::string ContentsOf(const std::string& path) {
  const TemporaryDirectory copies;
  const std::string copy = copies.path() + "/store.db";
  for (const char* suffix : {"", "-wal"}) {
    if (fs::exists(path + suffix)) fs::copy_file(path + suffix, copy + suffix);
  }
  sqlite3* database = nullptr;
  std::string contents;
  const auto append = [](void* out, int columns, char** values, char** /*names*/) {
    for (int column = 0; column < columns; ++column) {
      *static_cast<std::string*>(out) += values[column] == nullptr ? "" : values[column];
      *static_cast<std::string*>(out) += '\n';
    }
    return 0;
  };
  if (sqlite3_open_v2(copy.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK ||
      sqlite3_exec(database,
                   "PRAGMA integrity_check; SELECT current FROM revision; "
                   "SELECT path, revision, hex(value) FROM entry ORDER BY path",
                   append, &contents, nullptr) != SQLITE_OK) {
    contents = std::string("unreadable: ") + sqlite3_errmsg(database);
  }
  sqlite3_close(database);
  return contents;
}

class RestoreKill : public ::testing::Test {
 protected:
  // A backup, and more in the store than in the backup; the service is stopped.
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    const auto client = kmsd_.NewClient();
    for (int key = 0; key < 20; ++key) Encrypt(*client, "early" + std::to_string(key), before_);
    const HttpReply backup = client->Get("/v1/sys/backup?keep=1d");
    ASSERT_EQ(backup.status, 200);
    WriteFile(backup_, backup.body);
    for (int key = 0; key < 20; ++key) Encrypt(*client, "late" + std::to_string(key), after_);
    ASSERT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
    std::string text;
    ASSERT_EQ(
        RunProgram({KMS_BINARY_DIR "/kmsd", "dev", "--state-dir", state_, "--print-config"}, &text),
        0)
        << text;
    WriteFile(config_, text);
    old_ = ContentsOf(store_);
    ASSERT_THAT(old_, HasSubstr("ok\n"));
    // A restore that nobody disturbs shows what the backup holds, and for how long it takes.
    const auto began = steady_clock::now();
    ASSERT_EQ(RunProgram(Restore(), &text), 0) << text;
    whole_ = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began);
    restored_ = ContentsOf(store_);
    ASSERT_NE(restored_, old_);
    PutOldBack();
  }

  void Encrypt(HttpClient& client, const std::string& key,
               std::vector<std::pair<std::string, std::string>>& returned) {
    ASSERT_EQ(client.Post("/v1/dev/keys/" + key).status, 200);
    const HttpReply reply =
        client.Post("/v1/dev/encrypt/" + key, json{{"plaintext", kPlaintext}}.dump());
    ASSERT_EQ(reply.status, 200) << reply.body;
    returned.emplace_back(key, DataOf(reply).value("ciphertext", ""));
  }
  int StatusOf(HttpClient& client, const std::pair<std::string, std::string>& sealed) {
    const HttpReply reply =
        client.Post("/v1/dev/decrypt/" + sealed.first, json{{"ciphertext", sealed.second}}.dump());
    EXPECT_TRUE(reply.status != 200 || DataOf(reply).value("plaintext", "") == kPlaintext);
    return reply.status;
  }
  std::vector<std::string> Restore() const {
    return {KMS_BINARY_DIR "/kmsd", "restore", "--config", config_, "--from", backup_,
            "--accept-rollback"};
  }
  // What an operator does who wants the old store again: it was kept whole beside the new one.
  void PutOldBack() {
    ASSERT_EQ(ContentsOf(kept_), old_);
    fs::remove(store_ + "-wal");
    fs::remove(store_ + "-shm");
    fs::rename(kept_, store_);
    ASSERT_EQ(ContentsOf(store_), old_);
  }
  // The store after a restore was killed. Returns whether it is the backup's.
  bool ExpectWhole() {
    const std::string now = ContentsOf(store_);
    EXPECT_TRUE(now == old_ || now == restored_) << now.substr(0, 300);
    return now == restored_;
  }
  // The next one takes no notice of what the last one left.
  void ExpectRestoresWhenRunAgain() {
    std::string output;
    EXPECT_EQ(RunProgram(Restore(), &output), 0) << output;
    EXPECT_EQ(ContentsOf(store_), restored_);
  }

  TemporaryDirectory directory_;
  const std::string state_ = directory_.path() + "/state";
  const std::string store_ = state_ + "/store.db";
  const std::string kept_ = store_ + ".before-restore";
  const std::string backup_ = directory_.path() + "/kms.backup";
  const std::string config_ = directory_.path() + "/kms.json";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
  std::vector<std::pair<std::string, std::string>> before_;  // key, ciphertext
  std::vector<std::pair<std::string, std::string>> after_;
  std::string old_;
  std::string restored_;
  milliseconds whole_{0};
};

// The n-th of these calls is where it dies, for every n that occurs: those that change names and
// those that make durable, and some of those that write.
TEST_F(RestoreKill, D28_AtEachCallThatChangesTheDiskTheOldStoreOrTheNewOneIsThereWhole) {
  std::string ignored;
  if (RunProgram({"strace", "-V"}, &ignored) != 0) GTEST_SKIP() << "strace is not installed";
  int killed = 0;
  int left_old = 0;
  for (const char* const call : {"rename", "link", "unlink", "fsync", "fdatasync", "pwrite64"}) {
    for (int nth = 1; nth <= 12; ++nth) {
      SCOPED_TRACE(std::string(call) + " " + std::to_string(nth));
      std::vector<std::string> command = {
          "strace",
          "-o",
          "/dev/null",
          "-e",
          std::string("trace=") + call,
          "-e",
          std::string("inject=") + call + ":signal=KILL:when=" + std::to_string(nth)};
      std::ranges::copy(Restore(), std::back_inserter(command));
      std::string output;
      const int status = RunProgram(command, &output);
      if (killed == 0 && output.find("ptrace") != std::string::npos) {
        GTEST_SKIP() << "tracing is not permitted here: " << output;
      }
      const bool restored = ExpectWhole();
      ASSERT_FALSE(HasFailure());
      if (status == 0) {  // fewer than n such calls
        EXPECT_TRUE(restored);
        PutOldBack();
        break;
      }
      ASSERT_EQ(status, kKilled) << output;
      ++killed;
      left_old += restored ? 0 : 1;
      if (restored || nth % 4 == 0) {
        ExpectRestoresWhenRunAgain();
        // What it set aside is then what the killed one had put there.
        if (ContentsOf(kept_) == old_) {
          PutOldBack();
        } else {
          GTEST_FAIL() << "the old store is gone";
        }
      }
    }
  }
  EXPECT_GE(killed, 15);
  EXPECT_GE(left_old, 10);
  // One that did nothing left a service that starts unasked.
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  const auto client = kmsd_.NewClient();
  for (const auto* const all : {&before_, &after_}) {
    for (const auto& sealed : *all) EXPECT_EQ(StatusOf(*client, sealed), 200);
  }
}

TEST_F(RestoreKill, D28_AtRandomMomentsTooAndRunAgainItIsWhole) {
  constexpr int kKills = 20;
  std::mt19937 random(20261129);  // reproducible
  for (int kill = 0; kill < kKills && !HasFailure(); ++kill) {
    const auto until = steady_clock::now() + milliseconds(std::uniform_int_distribution<int>(
                                                 0, static_cast<int>(whole_.count()))(random));
    const std::string log = directory_.path() + "/restore.log";
    const pid_t pid = SpawnProgram(Restore(), log, log);
    ASSERT_GT(pid, 0);
    EXPECT_TRUE(Eventually([&] { return steady_clock::now() >= until; }));
    ::kill(pid, SIGKILL);
    const int status = WaitForExit(pid, seconds(10));
    EXPECT_TRUE(status == kKilled || status == 0) << status << ReadFile(log);
    if (ExpectWhole()) PutOldBack();
  }
  ExpectRestoresWhenRunAgain();
  EXPECT_FALSE(kmsd_.Start()) << "an older store is not served unasked";
  ASSERT_TRUE(kmsd_.Start({"--accept-rollback"})) << kmsd_.Log();
  const auto client = kmsd_.NewClient();
  for (const auto& sealed : before_) EXPECT_EQ(StatusOf(*client, sealed), 200);
  for (const auto& sealed : after_) EXPECT_NE(StatusOf(*client, sealed), 200);
}

// ---- D2: kmsd dies while it makes a backup ------------------------------------------------------

class BackupKill : public ::testing::Test {
 protected:
  // Until the service is gone: encrypts, and rotates now and then.
  void Write(const std::string& key) {
    const auto client = kmsd_.NewClient();
    for (int round = 0;; ++round) {
      if (round % 16 == 15 && client->Post("/v1/dev/keys/" + key + "/rotate").status == 0) return;
      const HttpReply reply =
          client->Post("/v1/dev/encrypt/" + key, json{{"plaintext", kPlaintext}}.dump());
      if (reply.status == 0) return;
      EXPECT_EQ(reply.status, 200) << reply.body;
      const std::lock_guard lock(mutex_);
      returned_.emplace_back(key, DataOf(reply).value("ciphertext", ""));
    }
  }
  // Until the service is gone: makes backups; keeps those that arrived whole.
  void BackUp() {
    const auto client = kmsd_.NewClient();
    while (true) {
      const HttpReply reply = client->Get("/v1/sys/backup?keep=1h");
      if (reply.status == 0) return;
      EXPECT_EQ(reply.status, 200) << reply.body;
      backups_.push_back(directory_.path() + "/backup" + std::to_string(backups_.size()));
      WriteFile(backups_.back(), reply.body);
    }
  }
  std::vector<std::string> Leftovers() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(state_)) {
      const std::string name = entry.path().filename().string();
      if (name.find("backup-") != std::string::npos ||
          name.find("restoring") != std::string::npos) {
        names.push_back(name);
      }
    }
    return names;
  }
  void ExpectEverythingDecrypts() {
    const auto client = kmsd_.NewClient();
    for (const auto& [key, ciphertext] : returned_) {
      const HttpReply reply =
          client->Post("/v1/dev/decrypt/" + key, json{{"ciphertext", ciphertext}}.dump());
      ASSERT_EQ(reply.status, 200) << key << reply.body;
      ASSERT_EQ(DataOf(reply).value("plaintext", ""), kPlaintext);
    }
  }

  TemporaryDirectory directory_;
  const std::string state_ = directory_.path() + "/state";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> returned_;  // key, ciphertext
  std::vector<std::string> backups_;
};

TEST_F(BackupKill, D2_AServiceThatDiesWhileItIsBackedUpLosesNothingAndLeavesNothing) {
  constexpr int kKills = 15;
  const std::vector<std::string> keys = {"alpha", "beta"};
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  for (const std::string& key : keys) {
    ASSERT_EQ(kmsd_.NewClient()->Post("/v1/dev/keys/" + key).status, 200);
  }
  std::mt19937 random(20261130);  // reproducible
  for (int kill = 0; kill < kKills && !HasFailure(); ++kill) {
    std::vector<std::thread> threads;
    for (const std::string& key : keys) {
      threads.emplace_back([this, key] { Write(key); });
    }
    threads.emplace_back([this] { BackUp(); });
    const auto until =
        steady_clock::now() + milliseconds(std::uniform_int_distribution<int>(20, 300)(random));
    EXPECT_TRUE(Eventually([&] { return steady_clock::now() >= until; }));
    kmsd_.Kill();
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    EXPECT_THAT(Leftovers(), IsEmpty());
  }
  ExpectEverythingDecrypts();
  EXPECT_GE(backups_.size(), 3U);
  for (const std::string& backup : backups_) {
    std::string output;
    EXPECT_EQ(
        RunProgram({KMS_BINARY_DIR "/kmsctl", "backup", "check", "--offline", backup}, &output), 0)
        << output;
  }
  // One more is made, and what was promised before it comes back with it.
  const HttpReply last = kmsd_.NewClient()->Get("/v1/sys/backup?keep=1h");
  ASSERT_EQ(last.status, 200) << last.body;
  ASSERT_EQ(kmsd_.Terminate(), 0);
  const std::string backup = directory_.path() + "/last";
  WriteFile(backup, last.body);
  std::string text;
  ASSERT_EQ(
      RunProgram({KMS_BINARY_DIR "/kmsd", "dev", "--state-dir", state_, "--print-config"}, &text),
      0);
  WriteFile(directory_.path() + "/kms.json", text);
  ASSERT_EQ(RunProgram({KMS_BINARY_DIR "/kmsd", "restore", "--config",
                        directory_.path() + "/kms.json", "--from", backup, "--accept-rollback"},
                       &text),
            0)
      << text;
  ASSERT_TRUE(kmsd_.Start({"--accept-rollback"})) << kmsd_.Log();
  ExpectEverythingDecrypts();
}

// What a restore that was killed left behind goes with the next start, unless it is under way.
TEST_F(RestoreKill, D28_WhatAKilledRestoreLeftIsRemovedByTheNextStart) {
  WriteFile(store_ + ".restoring", "half");
  WriteFile(store_ + ".restoring-wal", "half");
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  EXPECT_FALSE(fs::exists(store_ + ".restoring"));
  EXPECT_FALSE(fs::exists(store_ + ".restoring-wal"));
  EXPECT_EQ(StatusOf(*kmsd_.NewClient(), after_.front()), 200);
}

}  // namespace
}  // namespace kms::testing
