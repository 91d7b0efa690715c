// SPDX-License-Identifier: Apache-2.0
// SqliteStore on failing disks and through power cuts: the old state or the new, never a mix, and
// everything acknowledged is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kms/store/sqlite_store.h"
#include "tests/contract/mutations.h"
#include "tests/kms/store/store_directory.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::AnyOf;

// Three entries that every commit changes together, so that a mix of states shows.
std::vector<Mutation> Generation(int number) {
  const std::string value = "generation " + std::to_string(number) + std::string(6000, '.');
  return {Put("a", value), Put("b", value), Put("c/" + std::to_string(number % 2), value),
          Delete("c/" + std::to_string((number + 1) % 2))};
}

// Returns the number of the generation in the store, -1 for a mix of two.
int GenerationIn(Store& store) {
  constexpr std::size_t kPrefix = 11;  // "generation "
  const auto number_at = [&](const std::string& path) {
    const auto found = store.Get(path);
    if (!found.has_value() || !*found) {
      return -1;
    }
    return std::stoi(std::string(AsText((*found)->value)).substr(kPrefix));
  };
  const int number = number_at("a");
  const auto listed = store.List("c/", "", 10);
  const bool whole = number >= 0 && number_at("b") == number && listed.has_value() &&
                     listed->size() == 1 && number_at("c/" + std::to_string(number % 2)) == number;
  return whole ? number : -1;
}

class SqliteStoreFaults : public ::testing::Test {
 protected:
  Result<std::unique_ptr<SqliteStore>> Open() {
    return SqliteStore::Open({.path = directory_.path(), .vfs = vfs_.name()});
  }

  void OpenWithGeneration(int number) {
    auto opened = Open();
    ASSERT_THAT(opened, IsOk());
    store_ = std::move(*opened);
    ASSERT_THAT(store_->Commit(Generation(number)), IsOk());
  }

  StoreDirectory directory_;
  FaultVfs vfs_{"kms_fault"};
  std::unique_ptr<SqliteStore> store_;
};

// One fault at each change a commit makes; afterwards the same store must serve and heal.
void ExpectHealsFrom(int rc) {
  FaultVfs vfs("kms_fault_heal");
  int faults = 0;
  for (int n = 1;; ++n) {
    SCOPED_TRACE(::testing::Message() << "change " << n << " fails with " << rc);
    const StoreDirectory directory;
    const auto store = SqliteStore::Open({.path = directory.path(), .vfs = vfs.name()});
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT((*store)->Commit(Generation(1)), IsOk());
    vfs.FailChange(n, rc);
    const auto committed = (*store)->Commit(Generation(2));
    vfs.Heal();
    const int seen = GenerationIn(**store);
    if (committed.has_value()) {
      EXPECT_EQ(seen, 2);
      break;
    }
    ++faults;
    EXPECT_THAT(committed.error().code, AnyOf(ErrorCode::kUnavailable, ErrorCode::kOutcomeUnknown));
    EXPECT_THAT(seen, AnyOf(1, 2));
    EXPECT_THAT((*store)->Commit(Generation(3)), IsOk());
    EXPECT_EQ(GenerationIn(**store), 3);
  }
  EXPECT_GE(faults, 3);
}

TEST_F(SqliteStoreFaults, D4_HealsFromAFullDiskAtEveryWrite) { ExpectHealsFrom(SQLITE_FULL); }

TEST_F(SqliteStoreFaults, D5_HealsFromAnIoErrorAtEveryWrite) {
  ExpectHealsFrom(SQLITE_IOERR_WRITE);
}

// One fault at each change a commit makes while sums are kept: whatever came of it, they fit.
void ExpectSumsFitAfter(int rc) {
  FaultVfs vfs("kms_fault_sums");
  const SecretBytes key = SecretBytes::CopyOf(Bytes(32, 7)).value();
  int faults = 0;
  for (int n = 1;; ++n) {
    SCOPED_TRACE(::testing::Message() << "change " << n << " fails with " << rc);
    const StoreDirectory directory;
    const auto store = SqliteStore::Open({.path = directory.path(), .vfs = vfs.name()});
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT((*store)->StartDigest(key, /*rebuild=*/true), IsOk());
    ASSERT_THAT((*store)->Commit({Put("e/x/keys/a", "1"), Put("e/x/keys/b", "1")}), IsOk());
    vfs.FailChange(n, rc);
    const auto committed = (*store)->Commit({Put("e/x/keys/a", "2"), Delete("e/x/keys/b")});
    vfs.Heal();
    KMS_ASSERT_OK_AND_ASSIGN(const DigestReport after, (*store)->CheckDigest(key));
    EXPECT_TRUE(after.good());
    ASSERT_THAT((*store)->Commit({Put("e/x/keys/c", "3")}), IsOk());
    KMS_ASSERT_OK_AND_ASSIGN(const DigestReport healed, (*store)->CheckDigest(key));
    EXPECT_TRUE(healed.good());
    if (committed.has_value()) {
      break;
    }
    ++faults;
  }
  EXPECT_GE(faults, 3);
}

TEST_F(SqliteStoreFaults, D4_D11_SumsFitAfterAFullDiskAtEveryWrite) {
  ExpectSumsFitAfter(SQLITE_FULL);
}

TEST_F(SqliteStoreFaults, D5_D11_SumsFitAfterAnIoErrorAtEveryWrite) {
  ExpectSumsFitAfter(SQLITE_IOERR_WRITE);
}

TEST_F(SqliteStoreFaults, D4_ServesReadsWhileTheDiskStaysFullAndWritesWhenItIsNot) {
  OpenWithGeneration(1);
  vfs_.FailChange(1, SQLITE_FULL, /*for_good=*/true);
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(store_->Commit(Generation(2)).has_value());
    EXPECT_EQ(GenerationIn(*store_), 1);
  }
  vfs_.Heal();
  EXPECT_THAT(store_->Commit(Generation(3)), IsOk());
  EXPECT_EQ(GenerationIn(*store_), 3);
}

TEST_F(SqliteStoreFaults, D4_TellsAFailedCommitFromOneThatMayHaveHappened) {
  OpenWithGeneration(1);
  vfs_.FailChange(1, SQLITE_FULL, /*for_good=*/true);
  EXPECT_THAT(store_->Commit(Generation(2)), HasError(ErrorCode::kOutcomeUnknown));
  EXPECT_THAT(store_->Commit(Generation(2)), HasError(ErrorCode::kUnavailable));
}

TEST_F(SqliteStoreFaults, D6_CallsACommitUnknownWhoseSyncFailedAndSettlesIt) {
  OpenWithGeneration(1);
  vfs_.FailSync(1);
  EXPECT_THAT(store_->Commit(Generation(2)), HasError(ErrorCode::kOutcomeUnknown));
  const int seen = GenerationIn(*store_);
  EXPECT_THAT(seen, AnyOf(1, 2));
  // Whatever a reader was shown stays true through the next opening.
  store_.reset();
  KMS_ASSERT_OK_AND_ASSIGN(store_, Open());
  EXPECT_EQ(GenerationIn(*store_), seen);
}

// What a killed process leaves is what its system calls wrote, and no shared memory index.
TEST_F(SqliteStoreFaults, D6_WhatWasReadAfterAFailedCommitStaysTrueThroughAKill) {
  OpenWithGeneration(1);
  ASSERT_EQ(GenerationIn(*store_), 1);  // an open reader keeps the index that it knows
  vfs_.FailSync(1);
  ASSERT_THAT(store_->Commit(Generation(2)), HasError(ErrorCode::kOutcomeUnknown));
  const int seen = GenerationIn(*store_);
  const StoreDirectory killed;
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(directory_.path() + suffix, killed.path() + suffix);
  }
  KMS_ASSERT_OK_AND_ASSIGN(const auto reopened, SqliteStore::Open(killed.path()));
  EXPECT_EQ(GenerationIn(*reopened), seen);
}

TEST_F(SqliteStoreFaults, D6_TellsNoListenerOfACommitThatMayNotHaveHappened) {
  OpenWithGeneration(1);
  int heard = 0;
  store_->Subscribe([&](Revision, const std::vector<std::string>&) { ++heard; });
  vfs_.FailSync(1);
  ASSERT_THAT(store_->Commit(Generation(2)), HasError(ErrorCode::kOutcomeUnknown));
  EXPECT_EQ(heard, 0);
}

TEST_F(SqliteStoreFaults, D6_NeverBuildsOnFramesWhoseSyncFailed) {
  OpenWithGeneration(1);
  vfs_.FailSync(1);
  ASSERT_THAT(store_->Commit(Generation(2)), HasError(ErrorCode::kOutcomeUnknown));
  ASSERT_THAT(store_->Commit(Generation(3)), IsOk());
  // Power goes at once: what was acknowledged must not hang on pages the disk never got.
  vfs_.CutPowerAt(1);
  EXPECT_FALSE(store_->Commit(Generation(4)).has_value());
  store_.reset();
  vfs_.RestorePower(PowerCut::kLosesUnsynced);
  KMS_ASSERT_OK_AND_ASSIGN(store_, Open());
  EXPECT_EQ(GenerationIn(*store_), 3);
}

// Cuts the power at each change of a run of commits and of the reopening after it.
void ExpectSurvivesPowerCuts(PowerCut kind, int commits, int seeds) {
  FaultVfs vfs("kms_fault_power");
  int cuts = 0;
  for (int n = 1;; ++n) {
    SCOPED_TRACE(::testing::Message() << "power cut at change " << n);
    const StoreDirectory directory;
    const SqliteStoreOptions options{.path = directory.path(), .vfs = vfs.name()};
    int acknowledged = 0;
    {
      const auto store = SqliteStore::Open(options);
      ASSERT_THAT(store, IsOk());
      ASSERT_THAT((*store)->Commit(Generation(0)), IsOk());
      vfs.CutPowerAt(n);
      for (int number = 1; number <= commits; ++number) {
        acknowledged = (*store)->Commit(Generation(number)).has_value() ? number : acknowledged;
      }
    }
    const bool was_cut = vfs.power_is_cut();
    vfs.RestorePower(kind, static_cast<std::uint32_t>(n * seeds));
    const auto store = SqliteStore::Open(options);
    ASSERT_THAT(store, IsOk());
    EXPECT_THAT(GenerationIn(**store), AnyOf(acknowledged, acknowledged + 1));
    EXPECT_THAT((*store)->Commit(Generation(commits + 1)), IsOk());
    if (!was_cut) {
      break;
    }
    ++cuts;
  }
  EXPECT_GE(cuts, 3 * commits);
}

TEST_F(SqliteStoreFaults, D3_KeepsAcknowledgedCommitsWhenUnsyncedWritesAreLost) {
  ExpectSurvivesPowerCuts(PowerCut::kLosesUnsynced, 4, 1);
}

TEST_F(SqliteStoreFaults, D3_KeepsAcknowledgedCommitsWhenUnsyncedWritesArrive) {
  ExpectSurvivesPowerCuts(PowerCut::kKeepsUnsynced, 4, 1);
}

TEST_F(SqliteStoreFaults, D3_KeepsAcknowledgedCommitsWhenSectorsArriveInAnyOrder) {
  for (int seed = 1; seed <= 3; ++seed) {
    ExpectSurvivesPowerCuts(PowerCut::kScramblesSectors, 3, seed);
  }
}

TEST_F(SqliteStoreFaults, D1_RefusesToOpenOnADiskThatFailsAndOpensWhenItDoesNot) {
  int faults = 0;
  for (int n = 1; n < 100; ++n) {
    SCOPED_TRACE(::testing::Message() << "change " << n);
    const StoreDirectory directory;
    const SqliteStoreOptions options{.path = directory.path(), .vfs = vfs_.name()};
    vfs_.FailChange(n, SQLITE_IOERR_WRITE);
    const bool failed = !SqliteStore::Open(options).has_value();
    vfs_.Heal();
    EXPECT_THAT(SqliteStore::Open(options), IsOk());
    if (!failed) {
      break;
    }
    ++faults;
  }
  EXPECT_GE(faults, 3);
}

}  // namespace
}  // namespace kms::testing
