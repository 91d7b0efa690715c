// SPDX-License-Identifier: Apache-2.0
// The sums over the sealed entries: kept by every commit, and whatever is changed past the store is
// noticed and named.
#include "kms/store/set_digest.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "kms/store/sqlite_store.h"
#include "tests/kms/store/store_directory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SecretBytes Key(std::uint8_t fill = 7) { return SecretBytes::CopyOf(Bytes(32, fill)).value(); }

Bytes Value(std::string_view text) { return CopyOf(AsBytes(text)); }

Mutation Put(std::string path, std::string_view value) {
  return {.path = std::move(path), .value = Value(value), .expected_revision = std::nullopt};
}
Mutation Erase(std::string path) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = std::nullopt};
}

class StoreDigestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Reopen();
    ASSERT_THAT(store_->StartDigest(Key(), /*rebuild=*/true), IsOk());
    ASSERT_THAT(store_->Commit({Put("e/sys/policies/a", "A"), Put("e/sys/policies/deny", "D"),
                                Put("e/sys/tokens/t", "T"), Put("root", "R")}),
                IsOk());
    ASSERT_THAT(store_->Commit({Put("e/prod/keys/app", "K")}), IsOk());
  }
  void Reopen() {
    store_.reset();
    auto opened = SqliteStore::Open(directory_.path());
    ASSERT_THAT(opened, IsOk());
    store_ = std::move(*opened);
  }
  // Past the store, while it is closed.
  void RunSql(const std::string& sql) {
    store_.reset();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(directory_.path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
    Reopen();
  }
  DigestReport Check(std::uint8_t key = 7) {
    auto report = store_->CheckDigest(Key(key));
    EXPECT_THAT(report, IsOk());
    return report.value_or(DigestReport{});
  }

  StoreDirectory directory_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(StoreDigestTest, IsGoodAfterCommitsOfEveryKind) {
  ASSERT_THAT(store_->StartDigest(Key(), false), IsOk());
  ASSERT_THAT(store_->Commit({Put("e/sys/policies/a", "A2"), Erase("e/sys/tokens/t"),
                              Erase("e/sys/tokens/never"), Put("group/x", "G")}),
              IsOk());
  const auto kept = store_->Get("e/prod/keys/app");
  ASSERT_THAT(store_->Commit({{.path = "e/prod/keys/app",
                               .value = Value("K again"),
                               .expected_revision = (*kept)->revision,
                               .keeps_revision = true}}),
              IsOk());
  EXPECT_THAT(store_->Commit({{.path = "e/prod/keys/app",
                               .value = Value("no"),
                               .expected_revision = 999}}),
              HasError(ErrorCode::kConflict));
  const DigestReport report = Check();
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.entries, 3U);
  EXPECT_EQ(report.revision, *store_->CurrentRevision());
}

TEST_F(StoreDigestTest, TheMarkOfACommitIsWhatACheckFinds) {
  const std::optional<DigestMark> mark = store_->digest_mark();
  ASSERT_TRUE(mark.has_value());
  EXPECT_EQ(mark->tag, Check().tag);
  EXPECT_EQ(mark->revision, 2U);
  ASSERT_THAT(store_->Commit({Put("root", "R2")}), IsOk());
  EXPECT_NE(store_->digest_mark()->tag, mark->tag) << "bound to the revision";
}

TEST_F(StoreDigestTest, SurvivesARestart) {
  Reopen();
  EXPECT_TRUE(Check().good());
  ASSERT_THAT(store_->StartDigest(Key(), false), IsOk());
  ASSERT_THAT(store_->Commit({Put("e/sys/policies/b", "B")}), IsOk());
  EXPECT_TRUE(Check().good());
}

TEST_F(StoreDigestTest, D11_ADeletedEntryIsNoticedAndItsDirectoryNamed) {
  RunSql("DELETE FROM entry WHERE path='e/sys/policies/deny'");
  const DigestReport report = Check();
  EXPECT_FALSE(report.good());
  EXPECT_THAT(report.differences, ElementsAre(DirectoryDifference{.directory = "e/sys/policies",
                                                                  .expected = 2,
                                                                  .found = 1}));
}

TEST_F(StoreDigestTest, D11_ADirectoryThatVanishesWithItsSumIsNoticed) {
  RunSql("DELETE FROM entry WHERE path LIKE 'e/sys/tokens/%';"
         "DELETE FROM digest WHERE directory='e/sys/tokens'");
  const DigestReport report = Check();
  EXPECT_FALSE(report.good());
  EXPECT_TRUE(report.damaged);
}

TEST_F(StoreDigestTest, D11_AnEntryThatComesBackIsNoticed) {
  ASSERT_THAT(store_->Commit({Erase("e/sys/tokens/t")}), IsOk());
  RunSql("INSERT INTO entry(path, value, revision) VALUES('e/sys/tokens/t', x'54', 1)");
  EXPECT_THAT(Check().differences,
              ElementsAre(DirectoryDifference{
                  .directory = "e/sys/tokens", .expected = 0, .found = 1}));
}

TEST_F(StoreDigestTest, D11_AnOlderValueOrRevisionIsNoticed) {
  RunSql("UPDATE entry SET value=x'00' WHERE path='e/prod/keys/app'");
  EXPECT_THAT(Check().differences, ElementsAre(DirectoryDifference{.directory = "e/prod/keys",
                                                                   .expected = 1,
                                                                   .found = 1}));
  RunSql("UPDATE entry SET value=x'4B', revision=1 WHERE path='e/prod/keys/app'");
  EXPECT_THAT(Check().differences, Not(IsEmpty()));
}

TEST_F(StoreDigestTest, D12_OlderEntriesUnderANewNumberShowTheirRevision) {
  RunSql("UPDATE revision SET current=900");
  EXPECT_EQ(Check().revision, 2U);
}

TEST_F(StoreDigestTest, SumsCannotBeMovedMadeOrRead) {
  RunSql("UPDATE digest SET value=(SELECT value FROM digest WHERE directory='e/sys/tokens') WHERE "
         "directory='e/sys/policies'");
  EXPECT_TRUE(Check().damaged);
  EXPECT_TRUE(Check(/*key=*/8).damaged) << "another key opens none";
}

TEST_F(StoreDigestTest, NoSumsAtAllAreReportedAsSuch) {
  RunSql("DELETE FROM digest");
  EXPECT_FALSE(Check().present);
}

TEST_F(StoreDigestTest, RebuildingMakesWhatIsThereGood) {
  RunSql("DELETE FROM entry WHERE path='e/sys/policies/deny'");
  ASSERT_THAT(store_->StartDigest(Key(), true), IsOk());
  EXPECT_TRUE(Check().good());
  EXPECT_EQ(Check().entries, 3U);
}

TEST_F(StoreDigestTest, WhoDoesNotKeepThemMayNotTouchSealedEntries) {
  Reopen();
  EXPECT_THAT(store_->Commit({Put("e/sys/tokens/t", "T2")}),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("digest")));
  EXPECT_THAT(store_->Commit({Put("group/x", "G")}), IsOk()) << "what opens them may be written";
}

TEST_F(StoreDigestTest, ACopyIsOfOneCommitAndComplete) {
  const std::string copy = directory_.path() + ".copy";
  ASSERT_THAT(store_->CopyTo(copy), IsOk());
  ASSERT_THAT(store_->Commit({Put("e/sys/tokens/later", "L")}), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const auto other, SqliteStore::Open(copy));
  EXPECT_THAT(other->CurrentRevision(), IsOkAndHolds(Revision{2}));
  KMS_ASSERT_OK_AND_ASSIGN(const DigestReport report, other->CheckDigest(Key()));
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.entries, 4U);
}

TEST(SetDigest, TheOrderOfChangesDoesNotMatter) {
  SetDigest digest = SetDigest::Create(Key()).value();
  const auto sum = [&](std::string_view path) {
    return digest.SumOf(path, AsBytes("value"), 3).value();
  };
  EntrySum forward;
  EntrySum backward;
  for (int i = 0; i < 1000; ++i) {
    forward += sum("e/a/" + std::to_string(i));
    backward += sum("e/a/" + std::to_string(999 - i));
  }
  EXPECT_EQ(forward, backward);
  for (int i = 0; i < 1000; ++i) {
    forward -= sum("e/a/" + std::to_string(i));
  }
  EXPECT_EQ(forward, EntrySum{});
}

TEST(SetDigest, PathValueAndRevisionAllCount) {
  SetDigest digest = SetDigest::Create(Key()).value();
  const EntrySum one = digest.SumOf("e/a/b", AsBytes("v"), 1).value();
  EXPECT_FALSE(one == digest.SumOf("e/a/bv", AsBytes(""), 1).value());
  EXPECT_FALSE(one == digest.SumOf("e/a/b", AsBytes("w"), 1).value());
  EXPECT_FALSE(one == digest.SumOf("e/a/b", AsBytes("v"), 2).value());
}

TEST(SetDigest, EveryFlippedByteOfAStoredSumIsRefused) {
  SetDigest digest = SetDigest::Create(Key()).value();
  const EntrySum sum = digest.SumOf("e/a/b", AsBytes("v"), 1).value();
  const Bytes row = digest.SealSum("e/a", sum, 5).value();
  KMS_ASSERT_OK_AND_ASSIGN(const SetDigest::OpenedSum opened, digest.OpenSum("e/a", row));
  EXPECT_EQ(opened.sum, sum);
  EXPECT_EQ(opened.revision, 5U);
  for (std::size_t at = 0; at < row.size(); ++at) {
    Bytes flipped = row;
    flipped[at] ^= 0x10U;
    EXPECT_THAT(digest.OpenSum("e/a", flipped), HasError(ErrorCode::kCorrupted)) << at;
    EXPECT_THAT(digest.OpenSum("e/a", ByteView(row).first(at)), HasError(ErrorCode::kCorrupted));
  }
  EXPECT_THAT(digest.OpenSum("e/b", row), HasError(ErrorCode::kCorrupted));
}

TEST(SetDigest, DirectoriesAreTheFirstThreeSegments) {
  EXPECT_EQ(SetDigest::DirectoryOf("e/id/keys/app"), "e/id/keys");
  EXPECT_EQ(SetDigest::DirectoryOf("e/id/keys/app/x"), "e/id/keys");
  EXPECT_EQ(SetDigest::DirectoryOf("e/id/single"), "e/id/single");
}

// Frozen: sums stored by every release must open for ever.
TEST(SetDigest, OpensWhatTheFirstReleaseStored) {
  constexpr std::string_view kStored =
      "0100000000000000050000000000000001000102030405060708090a0b0c0d0e0f8751b23f63160e"
      "ef4aae0ea0c58a13eab47c923682761a92a393f71d73a5a2e1e7e9f7a789aa64fc2b06bf7f30af4f"
      "b728cc86ba20799c5e43f3e8a98f96618b";
  Bytes stored;
  for (std::size_t at = 0; at < kStored.size(); at += 2) {
    stored.push_back(
        static_cast<std::uint8_t>(std::stoi(std::string(kStored.substr(at, 2)), nullptr, 16)));
  }
  SetDigest digest = SetDigest::Create(Key()).value();
  const EntrySum sum = digest.SumOf("e/a/b", AsBytes("v"), 1).value();
  KMS_ASSERT_OK_AND_ASSIGN(const SetDigest::OpenedSum opened, digest.OpenSum("e/a", stored));
  EXPECT_EQ(opened.sum, sum);
  EXPECT_EQ(opened.revision, 5U);
  EXPECT_EQ(digest.Tag(sum, 5).value(), "58e652ccc3cf07584f6e6d63f5e3d6df");
}

}  // namespace
}  // namespace kms::testing
