// SPDX-License-Identifier: Apache-2.0
// What is older, or was changed past the service, is refused with both figures and accepted by
// name.
#include "kms/backup/store_guard.h"

#include <sqlite3.h>

#include "kms/backup/sys_store.h"
#include "kms/operations/key_usage.h"
#include "tests/kms/backup/backup_world.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StoreGuardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.Start();
    world_.Make("prod", "app");
    world_.guard->Raise(*world_.environments);
    world_.Log();
  }
  std::uint64_t EpochOf(const std::string& hsm) {
    const auto& epochs = world_.tokens.at(hsm)->epochs;
    return epochs.empty() ? 0 : epochs.begin()->second;
  }
  void RunSql(const std::string& sql) {
    world_.Stop();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(world_.store_path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  // An older store, and nothing else older.
  void RollBack() {
    world_.Stop();
    world_.SaveStore("old");
    world_.Start();
    for (int key = 0; key < 5; ++key) {
      world_.Make("prod", "later" + std::to_string(key));
    }
    world_.guard->Raise(*world_.environments);
    world_.Log();
    world_.Stop();
    world_.BringBackStore("old");
  }
  // The same with the log of then.
  void RollBackWithLog() {
    world_.Stop();
    world_.SaveStore("old");
    std::filesystem::copy_file(world_.log_path(), world_.log_path() + ".old");
    RollBack();
    std::filesystem::rename(world_.log_path() + ".old", world_.log_path());
  }

  BackupWorld world_;
};

TEST_F(StoreGuardTest, AStoreThatIsAsItWasStartsAgain) {
  for (int start = 0; start < 3; ++start) {
    EXPECT_THAT(world_.TryStart(), IsOk());
    EXPECT_FALSE(world_.rolled_back);
  }
  EXPECT_THAT(world_.alarms, IsEmpty());
}

TEST_F(StoreGuardTest, TheEpochFollowsTheStore) {
  EXPECT_GT(EpochOf("default"), 0U);
  const std::uint64_t before = EpochOf("default");
  EXPECT_FALSE(world_.guard->Raise(*world_.environments)) << "nothing was committed since";
  EXPECT_EQ(EpochOf("default"), before);
  world_.Make("prod", "other");
  EXPECT_TRUE(world_.guard->Raise(*world_.environments));
  EXPECT_GT(EpochOf("default"), before);
  EXPECT_EQ(world_.guard->Statement().epoch, EpochOf("default"));
  EXPECT_FALSE(world_.guard->Statement().digest.empty());
}

TEST_F(StoreGuardTest, D11_EntriesCanBeCheckedWhileTheServiceWorks) {
  KMS_ASSERT_OK_AND_ASSIGN(const DigestReport report,
                           world_.guard->CheckEntries(*world_.environments));
  EXPECT_TRUE(report.good());
}

TEST_F(StoreGuardTest, D12_AStoreOlderThanTheLogIsRefusedWithBothFigures) {
  RollBack();
  EXPECT_THAT(world_.TryStart(),
              HasError(ErrorCode::kCorrupted, AllOf(HasSubstr("older than the audit log"),
                                                    HasSubstr("--accept-rollback"))));
}

TEST_F(StoreGuardTest, D12_AStoreAndALogThatAreOlderThanTheTokenAreRefusedWithBothFigures) {
  RollBackWithLog();
  EXPECT_THAT(world_.TryStart(),
              HasError(ErrorCode::kCorrupted,
                       AllOf(HasSubstr("older than the epoch that HSM default keeps"),
                             HasSubstr("the epoch is " + std::to_string(EpochOf("default"))),
                             HasSubstr("--accept-rollback"))));
  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kCorrupted)) << "and again";
}

TEST_F(StoreGuardTest, D12_AcceptedByNameItGoesOnAboveEverythingSeen) {
  RollBackWithLog();
  const std::uint64_t epoch = EpochOf("default");
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  EXPECT_TRUE(world_.rolled_back) << "callers' tokens are to be forgotten";
  EXPECT_GT(*world_.store->CurrentRevision(), epoch);
  EXPECT_GT(EpochOf("default"), epoch);
  EXPECT_THAT(ReadAll(world_.log_path()), HasSubstr("store_rollback_accepted"));
  ASSERT_THAT(world_.TryStart(), IsOk()) << "once is enough";
  EXPECT_FALSE(world_.rolled_back);
}

TEST_F(StoreGuardTest, D12_AnAcceptedRollbackRaisesUsageCounters) {
  RollBack();
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  const std::shared_ptr<Environment> prod = world_.environments->Find("prod");
  const KeyHandle key = *prod->FindKey(*KeyName::Parse("app"));
  const auto entry = prod->store().Get(UsagePath(key->policy().incarnation));
  ASSERT_TRUE(entry.has_value() && *entry);
  const auto recorded = DecodeUsage((*entry)->value.View()).value();
  EXPECT_GE(recorded.at(1), 64 * LargestLease(prod->max_encryptions_per_version()));
}

TEST_F(StoreGuardTest, D12_AnEnvironmentThatIsSealedThenIsRaisedOnceItOpens) {
  RollBack();
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  // As if it had been sealed: the record says what is left to do.
  const std::shared_ptr<Environment> prod = world_.environments->Find("prod");
  AcceptedRollback left{.lost_commits = 9, .settled = true, .environments = {prod->identity().id}};
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = "accepted-rollback",
                       .value = SecretBytes::CopyOf(left.Encode()).value(),
                       .expected_revision = std::nullopt});
  ASSERT_THAT(world_.environments->sys()->store().Commit(std::move(mutations)), IsOk());
  ASSERT_THAT(world_.environments->Seal("prod", "test"), IsOk());
  world_.guard->Raise(*world_.environments);
  EXPECT_TRUE(world_.environments->sys()->store().Get("accepted-rollback").value().has_value());
  ASSERT_THAT(world_.environments->Unseal("prod"), IsOk());
  world_.guard->Raise(*world_.environments);
  EXPECT_FALSE(world_.environments->sys()->store().Get("accepted-rollback").value().has_value());
}

TEST_F(StoreGuardTest, D12_ATokenThatWasSetBackIsRefusedWhenItIsTheOnlyOne) {
  world_.Stop();
  std::uint64_t& epoch = world_.tokens.at("default")->epochs.begin()->second;
  const std::uint64_t written = epoch;
  epoch -= 2;
  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kCorrupted,
                                          AllOf(HasSubstr("epoch " + std::to_string(written - 2)),
                                                HasSubstr(std::to_string(written) + " was written"),
                                                HasSubstr("--accept-rollback"))));
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  ASSERT_THAT(world_.TryStart(), IsOk());
}

TEST_F(StoreGuardTest, D12_ATokenThatWasSetBackIsLeftOutWhenAnotherOneIsRight) {
  world_.AddToken("second");
  world_.Start();
  ASSERT_THAT(world_.environments->JoinHsm("sys", {.hsm = "second"}), IsOk());
  world_.guard->Raise(*world_.environments);
  world_.Stop();
  world_.tokens.at("default")->epochs.begin()->second = 1;
  world_.alarms.clear();
  ASSERT_THAT(world_.TryStart(), IsOk());
  EXPECT_EQ(world_.hsms->Find("default"), nullptr);
  EXPECT_THAT(world_.alarms,
              Contains(AllOf(HasSubstr("HSM default is not used"), HasSubstr("holds epoch 1"))));
}

TEST_F(StoreGuardTest, AnotherTokenUnderTheSameNameHasNoPast) {
  world_.Stop();
  world_.tokens.at("default")->epochs.clear();
  world_.tokens.at("default")->serial = "another";
  EXPECT_THAT(world_.TryStart(), IsOk());
}

TEST_F(StoreGuardTest, TheHighestEpochOfThoseThatAnswerCounts) {
  world_.AddToken("second");
  world_.Start();
  ASSERT_THAT(world_.environments->JoinHsm("sys", {.hsm = "second"}), IsOk());
  world_.guard->Raise(*world_.environments);
  RollBackWithLog();
  world_.tokens.at("default")->epochs.clear();
  world_.tokens.at("default")->serial = "another";
  EXPECT_THAT(world_.TryStart(),
              HasError(ErrorCode::kCorrupted, HasSubstr("the epoch that HSM second keeps")));
}

TEST_F(StoreGuardTest, D11_ADeletedEntryIsRefusedAndNamed) {
  world_.Make("prod", "second");
  const std::string id = world_.environments->Find("prod")->identity().id.ToString();
  RunSql("DELETE FROM entry WHERE path='e/" + id + "/keys/second'");
  EXPECT_THAT(world_.TryStart(),
              HasError(ErrorCode::kCorrupted,
                       AllOf(HasSubstr("keys of environment " + id),
                             HasSubstr("1 entries instead of 2"), HasSubstr("--accept-rollback"))));
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  EXPECT_FALSE(world_.Has("prod", "second"));
  EXPECT_TRUE(world_.rolled_back);
  ASSERT_THAT(world_.TryStart(), IsOk());
}

TEST_F(StoreGuardTest, D11_ADigestThatIsGoneIsRefused) {
  RunSql("DELETE FROM digest");
  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kCorrupted, HasSubstr("the digest is gone")));
}

TEST_F(StoreGuardTest, D11_D12_OlderEntriesUnderTheCurrentNumberAreRefused) {
  const Revision now = *world_.store->CurrentRevision();
  RollBack();
  RunSql("UPDATE revision SET current=" + std::to_string(now + 1000));
  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kCorrupted, HasSubstr("older")));
}

TEST_F(StoreGuardTest, O3_ATokenThatDoesNotAnswerIsRaisedWhenItIsBack) {
  world_.AddToken("second");
  world_.Start();
  ASSERT_THAT(world_.environments->JoinHsm("sys", {.hsm = "second"}), IsOk());
  world_.guard->Raise(*world_.environments);
  const std::uint64_t before = EpochOf("second");
  world_.unplugged.insert("second");
  world_.Start();
  world_.Make("prod", "more");
  world_.guard->Raise(*world_.environments);
  EXPECT_EQ(EpochOf("second"), before);
  EXPECT_GT(EpochOf("default"), before);
  world_.unplugged.clear();
  world_.Start();
  EXPECT_GT(EpochOf("second"), before);
}

TEST(AcceptedRollback, ComesBackAsItWas) {
  const AcceptedRollback accepted{
      .lost_commits = 7, .settled = true, .environments = {Uuid::Random(), Uuid::Random()}};
  EXPECT_THAT(AcceptedRollback::Decode(accepted.Encode()), IsOkAndHolds(accepted));
  const Bytes encoded = accepted.Encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_THAT(AcceptedRollback::Decode(ByteView(encoded).first(size)),
                HasError(ErrorCode::kCorrupted));
  }
}

TEST(EpochRecord, ComesBackAsItWas) {
  const EpochRecord record{.value = 12, .token_serial = "s"};
  EXPECT_EQ(HexEncode(record.Encode()), "4501000000000000000c0000000173");
  EXPECT_THAT(EpochRecord::Decode(record.Encode()), IsOkAndHolds(record));
  EXPECT_THAT(EpochRecord::Decode(Bytes{'E', 2}), HasError(ErrorCode::kCorrupted, HasSubstr("2")));
}

// Whoever knows it and puts its wrap back would otherwise seal sums and digest of his own.
TEST_F(StoreGuardTest, AKeyOfSysThatWasForgottenSealsNothing) {
  Environments& environments = *world_.environments;
  const Uuid sys = environments.sys()->identity().id;
  const std::string path = WrappedPath(sys, 1, world_.tokens.begin()->first, 1);
  const auto wrap = world_.store->Get(path);
  ASSERT_THAT(wrap, IsOk());
  ASSERT_TRUE(wrap->has_value()) << path;
  ASSERT_THAT(environments.AddEnvironmentKey("sys", 2), IsOk());
  ASSERT_THAT(environments.ResealEntries("sys", {}, 1000), IsOk());
  ASSERT_THAT(environments.ForgetEnvironmentKeys("sys", 2), IsOk());
  ASSERT_THAT(world_.store->Commit({{.path = path,
                                     .value = (*wrap)->value,
                                     .expected_revision = std::nullopt}}),
              IsOk());
  const auto opened = SysStore::Open(*world_.store, *world_.hsms, std::chrono::seconds(5));
  ASSERT_THAT(opened, IsOk());
  EXPECT_THAT((*opened)->keys().Find(1), HasError(ErrorCode::kCorrupted));
  EXPECT_THAT((*opened)->keys().Find(2), IsOk());
}

}  // namespace
}  // namespace kms::testing
