// SPDX-License-Identifier: Apache-2.0
// Copies of token directories: what is copied, what is left, and what never gets lost.
#include "pkcs11/token_backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace kms::pkcs11 {
namespace {

namespace fs = std::filesystem;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;

class TokenBackup : public ::testing::Test {
 protected:
  TokenBackup() {
    fs::create_directories(tokens_ + "/one");
    Write("one/token.object", "the token");
    Write("one/key.object", "a key");
    Age("one/token.object");
    Age("one/key.object");
  }
  Status BackUp() { return BackUpTokens(tokens_, state_); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(tokens_ + "/" + name, std::ios::trunc) << content;
  }
  // As if it had been written some time ago.
  void Age(const std::string& name) {
    const fs::path file = tokens_ + "/" + name;
    fs::last_write_time(file, fs::last_write_time(file) - std::chrono::seconds(9));
  }
  [[nodiscard]] std::string Copy(const std::string& name) const {
    std::ostringstream content;
    content << std::ifstream(state_ + "/backup/" + name).rdbuf();
    return content.str();
  }
  [[nodiscard]] ino_t CopysInode(const std::string& name) const {
    struct stat facts{};
    EXPECT_EQ(::stat((state_ + "/backup/" + name).c_str(), &facts), 0) << name;
    return facts.st_ino;
  }
  [[nodiscard]] bool HasCopy(const std::string& name) const {
    return fs::exists(state_ + "/backup/" + name);
  }

  ::kms::testing::TemporaryDirectory directory_;
  const std::string tokens_ = directory_.path() + "/tokens";
  const std::string state_ = directory_.path();
};

TEST_F(TokenBackup, CopiesEverythingAtFirstAndThenWhatChanged) {
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_EQ(Copy("one/token.object"), "the token");
  EXPECT_EQ(Copy("one/key.object"), "a key");
  const ino_t token = CopysInode("one/token.object");
  const ino_t key = CopysInode("one/key.object");
  Write("one/key.object", "B key");  // of the same size
  Write("one/new.object", "a new key");
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_EQ(CopysInode("one/token.object"), token);
  EXPECT_NE(CopysInode("one/key.object"), key);
  EXPECT_EQ(Copy("one/key.object"), "B key");
  EXPECT_EQ(Copy("one/new.object"), "a new key");
}

TEST_F(TokenBackup, ASecondChangeInTheSameMomentIsNotOverlooked) {
  ASSERT_THAT(BackUp(), IsOk());
  Write("one/key.object", "B key");
  const fs::file_time_type written = fs::last_write_time(tokens_ + "/one/key.object");
  ASSERT_THAT(BackUp(), IsOk());
  Write("one/key.object", "C key");
  fs::last_write_time(tokens_ + "/one/key.object", written);
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_EQ(Copy("one/key.object"), "C key");
}

TEST_F(TokenBackup, DestroyedKeysAndTokensLeaveTheCopy) {
  fs::create_directories(tokens_ + "/two");
  Write("two/token.object", "another");
  ASSERT_THAT(BackUp(), IsOk());
  fs::remove(tokens_ + "/one/key.object");
  fs::remove_all(tokens_ + "/two");
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_FALSE(HasCopy("one/key.object"));
  EXPECT_FALSE(HasCopy("two"));
  EXPECT_EQ(Copy("one/token.object"), "the token");
}

TEST_F(TokenBackup, AnEmptiedFileKeepsItsCopy) {
  ASSERT_THAT(BackUp(), IsOk());
  Write("one/token.object", "");
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_EQ(Copy("one/token.object"), "the token");
  ASSERT_THAT(RestoreEmptiedTokens(tokens_, state_), IsOk());
  EXPECT_EQ(fs::file_size(tokens_ + "/one/token.object"), std::string("the token").size());
}

// A kill during the first copy leaves none; one during a later copy leaves a draft.
TEST_F(TokenBackup, WhatAnInterruptedCopyLeftIsTakenUpOrRemoved) {
  fs::create_directories(state_ + "/backup.new/one");
  std::ofstream(state_ + "/backup.new/one/token.object") << "half";
  std::ofstream(state_ + "/backup.new/one/stale.object") << "of long ago";
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_EQ(Copy("one/token.object"), "the token");
  EXPECT_FALSE(HasCopy("one/stale.object"));
  EXPECT_FALSE(fs::exists(state_ + "/backup.new"));
  std::ofstream(state_ + "/backup/one/key.object.draft") << "half";
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_FALSE(HasCopy("one/key.object.draft"));
}

// Earlier releases had two copies.
TEST_F(TokenBackup, TheCopyThatAnEarlierReleaseLeftIsUsedAndThenReplaced) {
  fs::create_directories(state_ + "/backup.previous/one");
  std::ofstream(state_ + "/backup.previous/one/token.object") << "the token";
  Write("one/token.object", "");
  ASSERT_THAT(RestoreEmptiedTokens(tokens_, state_), IsOk());
  ASSERT_THAT(BackUp(), IsOk());
  EXPECT_EQ(Copy("one/token.object"), "the token");
  EXPECT_FALSE(fs::exists(state_ + "/backup.previous"));
}

TEST_F(TokenBackup, AMissingDirectoryIsAnErrorAndLeavesTheCopy) {
  ASSERT_THAT(BackUp(), IsOk());
  fs::rename(tokens_, tokens_ + ".away");
  EXPECT_THAT(BackUp(), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(Copy("one/key.object"), "a key");
}

}  // namespace
}  // namespace kms::pkcs11
