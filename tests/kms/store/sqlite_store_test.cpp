// SPDX-License-Identifier: Apache-2.0
// SqliteStore: its contract, its file, its lock, and files it must refuse.
#include "kms/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/contract/store_contract.h"
#include "tests/fakes/memory_store.h"
#include "tests/kms/store/store_directory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

StoreMaker MakerOfMemoryStores() {
  return {"Memory", [] { return std::make_shared<MemoryStore>(); }};
}

StoreMaker MakerOfSqliteStores() {
  return {"Sqlite", []() -> std::shared_ptr<Store> {
            struct Held {
              StoreDirectory directory;
              std::unique_ptr<SqliteStore> store;
            };
            auto held = std::make_shared<Held>();
            auto opened = SqliteStore::Open(held->directory.path());
            if (!opened.has_value()) {
              return nullptr;
            }
            held->store = std::move(*opened);
            return {held, held->store.get()};
          }};
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract,
                         ::testing::Values(MakerOfMemoryStores(), MakerOfSqliteStores()),
                         [](const auto& tested) { return tested.param.name; });

// Runs SQL on the file past the store, as someone with access to it could.
void RunSql(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

TEST(SqliteStore, KeepsEverythingAcrossReopening) {
  const StoreDirectory directory;
  {
    KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
    ASSERT_THAT(store->Commit({Put("a", "one")}), IsOk());
  }
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  KMS_ASSERT_OK_AND_ASSIGN(const auto found, store->Get("a"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(AsText(found->value), "one");
  EXPECT_THAT(store->Commit({Put("a", "two", 1)}), IsOkAndHolds(Revision{2}));
}

TEST(SqliteStore, GivesNoOtherUserAccessToItsFiles) {
  const StoreDirectory directory;
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  ASSERT_THAT(store->Commit({Put("a", "one")}), IsOk());
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat file{};
    ASSERT_EQ(::stat((directory.path() + suffix).c_str(), &file), 0) << suffix;
    EXPECT_EQ(file.st_mode & 0777, 0600U) << suffix;
  }
}

TEST(SqliteStore, ClosesAnExistingFileToOtherUsers) {
  const StoreDirectory directory;
  {
    ASSERT_THAT(SqliteStore::Open(directory.path()), IsOk());
  }
  ASSERT_EQ(::chmod(directory.path().c_str(), 0644), 0);
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  struct stat file{};
  ASSERT_EQ(::stat(directory.path().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
}

TEST(SqliteStore, NamesTheFileWhenItsDirectoryIsMissing) {
  EXPECT_THAT(SqliteStore::Open("/nonexistent/store.db"),
              HasError(ErrorCode::kUnavailable, HasSubstr("/nonexistent/store.db")));
}

TEST(SqliteStore, D13_RefusesASecondOpenInTheSameProcess) {
  const StoreDirectory directory;
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  EXPECT_THAT(SqliteStore::Open(directory.path()),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr(directory.path()), HasSubstr("in use"))));
  EXPECT_THAT(store->Commit({Put("a", "still works")}), IsOk());
}

TEST(SqliteStore, D13_RefusesASecondProcessAndNamesTheFirst) {
  const StoreDirectory directory;
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  const std::string holder = "process " + std::to_string(::getpid());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto second = SqliteStore::Open(directory.path());
    const bool refused = !second.has_value() &&
                         second.error().code == ErrorCode::kFailedPrecondition &&
                         second.error().public_message.find(holder) != std::string::npos;
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(SqliteStore, D13_OpensAgainAfterTheHolderWasKilled) {
  const StoreDirectory directory;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = SqliteStore::Open(directory.path());
    if (store.has_value() && (*store)->Commit({Put("a", "one")}).has_value()) {
      ::raise(SIGKILL);
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  EXPECT_THAT(store->CurrentRevision(), IsOkAndHolds(Revision{1}));
}

TEST(SqliteStore, D24_RefusesAFormatFromTheFutureNamingBothVersions) {
  const StoreDirectory directory;
  {
    ASSERT_THAT(SqliteStore::Open(directory.path()), IsOk());
  }
  RunSql(directory.path(), "PRAGMA user_version=3");
  EXPECT_THAT(SqliteStore::Open(directory.path()),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr(directory.path()), HasSubstr("version 3"),
                             HasSubstr("versions up to 2"))));
}

TEST(SqliteStore, D24_LeavesAFileFromTheFutureAsItWas) {
  const StoreDirectory directory;
  RunSql(directory.path(),
         "PRAGMA application_id=1802334001; PRAGMA user_version=9;"
         "CREATE TABLE later(x)");
  const std::string before = ReadFile(directory.path());
  ASSERT_THAT(SqliteStore::Open(directory.path()), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(ReadFile(directory.path()), before);
}

TEST(SqliteStore, RefusesTheDatabaseOfAnotherProgram) {
  const StoreDirectory directory;
  RunSql(directory.path(), "CREATE TABLE notes(text)");
  EXPECT_THAT(SqliteStore::Open(directory.path()),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("another program")));
}

TEST(SqliteStore, D8_RefusesAFileThatIsNoDatabase) {
  const StoreDirectory directory;
  WriteFile(directory.path(), std::string(8192, 'x'));
  EXPECT_THAT(
      SqliteStore::Open(directory.path()),
      HasError(ErrorCode::kCorrupted, AllOf(HasSubstr(directory.path()), HasSubstr("restore"))));
}

// Fills a store so that it has interior, leaf and overflow pages, and returns the file's bytes.
std::string FilledStoreImage(const std::string& path) {
  {
    auto store = SqliteStore::Open(path);
    EXPECT_THAT(store, IsOk());
    std::vector<Mutation> mutations;
    for (int i = 1000; i < 1400; ++i) {
      const std::size_t size = i % 100 == 0 ? 9000 : 60;
      mutations.push_back(Put("prod/keys/" + std::to_string(i), std::string(size, 'v')));
    }
    EXPECT_THAT((*store)->Commit(mutations), IsOk());
  }
  return ReadFile(path);
}

// A damaged file is refused with a message that helps, or opened; then every call answers.
void ExpectRefusedOrServed(const std::string& path, int& refused) {
  const auto store = SqliteStore::Open(path);
  if (!store.has_value()) {
    ++refused;
    EXPECT_THAT(store.error().public_message, HasSubstr(path));
    return;
  }
  for (int i = 1000; i < 1400; i += 7) {
    const auto found = (*store)->Get("prod/keys/" + std::to_string(i));
    EXPECT_TRUE(found.has_value() || found.error().code == ErrorCode::kCorrupted)
        << Describe(found.error());
  }
}

TEST(SqliteStore, D8_SurvivesADamagedByteInEveryPage) {
  constexpr std::size_t kPage = 4096;
  const StoreDirectory directory;
  const std::string image = FilledStoreImage(directory.path());
  ASSERT_GT(image.size(), 10 * kPage);
  int refused = 0;
  int tried = 0;
  for (std::size_t page = 0; page < image.size(); page += kPage) {
    // The page's own head, its pointer array and its contents.
    for (const std::size_t offset : {std::size_t{0}, std::size_t{3}, std::size_t{9}, kPage - 20}) {
      std::string damaged = image;
      damaged[page + offset] = static_cast<char>(damaged[page + offset] ^ 0x55);
      WriteFile(directory.path(), damaged);
      ++tried;
      ExpectRefusedOrServed(directory.path(), refused);
    }
  }
  EXPECT_GT(refused, tried / 4);
}

TEST(SqliteStore, D8_RefusesATruncatedFile) {
  const StoreDirectory directory;
  const std::string image = FilledStoreImage(directory.path());
  WriteFile(directory.path(), image.substr(0, image.size() / 2));
  EXPECT_THAT(SqliteStore::Open(directory.path()),
              HasError(ErrorCode::kCorrupted, HasSubstr("restore")));
}

TEST(SqliteStore, D14_AnswersWithinABoundWhenAnotherProgramHoldsTheWriteLock) {
  const StoreDirectory directory;
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  ASSERT_THAT(store->Commit({Put("a", "one")}), IsOk());
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(directory.path().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_THAT(store->Commit({Put("a", "two")}), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(store->Get("a"), IsOk());
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_THAT(store->Commit({Put("a", "two")}), IsOkAndHolds(Revision{2}));
}

TEST(SqliteStore, D14_BoundsTheWriteAheadLog) {
  const StoreDirectory directory;
  KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(directory.path()));
  for (int i = 0; i < 600; ++i) {
    ASSERT_THAT(store->Commit({Put("a", std::string(20000, 'x'))}), IsOk());
  }
  EXPECT_LT(std::filesystem::file_size(directory.path() + "-wal"), 16U << 20U);
}

}  // namespace
}  // namespace kms::testing
