// SPDX-License-Identifier: Apache-2.0
// The contract of Store: what every implementation, real or fake, must do. A test program
// instantiates it with INSTANTIATE_TEST_SUITE_P(Name, StoreContract, Values(maker)).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kms/store/store.h"
#include "tests/contract/mutations.h"
#include "tests/support/matchers.h"

namespace kms::testing {

struct StoreMaker {
  std::string name;
  // Returns a new, empty store; what it needs lives as long as the returned pointer.
  std::function<std::shared_ptr<Store>()> make;
};

class StoreContract : public ::testing::TestWithParam<StoreMaker> {
 protected:
  void SetUp() override { ASSERT_NE(store_, nullptr); }

  // The value at `path` as text; "<none>" when it does not exist, "<error>" when unreadable.
  std::string Read(std::string_view path) {
    const auto found = store_->Get(path);
    if (!found.has_value()) {
      return "<error>";
    }
    return *found ? std::string(AsText((*found)->value)) : "<none>";
  }

  std::vector<std::string> Paths(std::string_view prefix, std::string_view after = {},
                                 std::size_t limit = 1000) {
    std::vector<std::string> paths;
    const auto listed = store_->List(prefix, after, limit);
    EXPECT_THAT(listed, IsOk());
    for (const ListedEntry& entry : listed.value_or(std::vector<ListedEntry>{})) {
      paths.push_back(entry.path);
    }
    return paths;
  }

  std::shared_ptr<Store> store_ = GetParam().make();
};

TEST_P(StoreContract, StartsEmptyAtRevisionZero) {
  EXPECT_THAT(store_->CurrentRevision(), IsOkAndHolds(Revision{0}));
  EXPECT_EQ(Read("a"), "<none>");
  EXPECT_THAT(Paths(""), ::testing::IsEmpty());
}

TEST_P(StoreContract, ReturnsWhatWasCommittedWithItsRevision) {
  ASSERT_THAT(store_->Commit({Put("a", "one")}), IsOkAndHolds(Revision{1}));
  ASSERT_THAT(store_->Commit({Put("b", "two")}), IsOkAndHolds(Revision{2}));
  KMS_ASSERT_OK_AND_ASSIGN(const auto found, store_->Get("a"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(AsText(found->value), "one");
  EXPECT_EQ(found->revision, 1U);
  EXPECT_THAT(store_->CurrentRevision(), IsOkAndHolds(Revision{2}));
}

TEST_P(StoreContract, KeepsEmptyAndBinaryValuesApartFromMissingOnes) {
  const std::string binary("\0\xFF\n'\"", 5);
  ASSERT_THAT(store_->Commit({Put("empty", ""), Put("binary", binary)}), IsOk());
  EXPECT_EQ(Read("empty"), "");
  EXPECT_EQ(Read("binary"), binary);
  EXPECT_EQ(Read("missing"), "<none>");
}

TEST_P(StoreContract, KeepsLargeValues) {
  const std::string large(std::size_t{3} << 20U, 'x');
  ASSERT_THAT(store_->Commit({Put("large", large)}), IsOk());
  EXPECT_EQ(Read("large"), large);
}

TEST_P(StoreContract, DeletesAndLetsAPathBeCreatedAgain) {
  ASSERT_THAT(store_->Commit({Put("a", "one")}), IsOk());
  ASSERT_THAT(store_->Commit({Delete("a", 1)}), IsOk());
  EXPECT_EQ(Read("a"), "<none>");
  ASSERT_THAT(store_->Commit({Put("a", "two", 0)}), IsOkAndHolds(Revision{3}));
  EXPECT_EQ(Read("a"), "two");
}

TEST_P(StoreContract, DeletingWhatDoesNotExistIsNotAnError) {
  EXPECT_THAT(store_->Commit({Delete("a")}), IsOk());
}

TEST_P(StoreContract, RefusesAStaleExpectedRevisionAndAppliesNothing) {
  ASSERT_THAT(store_->Commit({Put("a", "one")}), IsOk());
  ASSERT_THAT(store_->Commit({Put("a", "two")}), IsOk());
  EXPECT_THAT(store_->Commit({Put("b", "new"), Put("a", "three", 1)}),
              HasError(ErrorCode::kConflict));
  EXPECT_EQ(Read("a"), "two");
  EXPECT_EQ(Read("b"), "<none>");
  EXPECT_THAT(store_->CurrentRevision(), IsOkAndHolds(Revision{2}));
}

TEST_P(StoreContract, KeepsTheRevisionOfAnEntryThatIsOnlySealedAgain) {
  ASSERT_THAT(store_->Commit({Put("a", "one"), Put("b", "one")}), IsOkAndHolds(Revision{1}));
  Mutation resealed = Put("a", "uno", 1);
  resealed.keeps_revision = true;
  ASSERT_THAT(store_->Commit({resealed}), IsOkAndHolds(Revision{2}));
  EXPECT_EQ(Read("a"), "uno");
  EXPECT_THAT(store_->Commit({Put("a", "two", 1)}), IsOkAndHolds(Revision{3}));
  EXPECT_THAT(store_->Commit({resealed}), HasError(ErrorCode::kConflict));
  EXPECT_EQ(Read("a"), "two");
}

TEST_P(StoreContract, KeepsNoRevisionThatIsNotExpected) {
  ASSERT_THAT(store_->Commit({Put("a", "one")}), IsOk());
  for (Mutation mutation : {Put("a", "two"), Put("b", "new", 0), Delete("a", 1)}) {
    mutation.keeps_revision = true;
    EXPECT_THAT(store_->Commit({mutation}), HasError(ErrorCode::kInvalidArgument));
  }
  EXPECT_EQ(Read("a"), "one");
}

TEST_P(StoreContract, RefusesToCreateWhatExists) {
  ASSERT_THAT(store_->Commit({Put("a", "one", 0)}), IsOk());
  EXPECT_THAT(store_->Commit({Put("a", "two", 0)}), HasError(ErrorCode::kConflict));
}

TEST_P(StoreContract, RefusesToChangeOrDeleteWhatIsGone) {
  EXPECT_THAT(store_->Commit({Put("a", "one", 7)}), HasError(ErrorCode::kConflict));
  EXPECT_THAT(store_->Commit({Delete("a", 7)}), HasError(ErrorCode::kConflict));
}

TEST_P(StoreContract, RefusesOnePathTwiceInOneCommit) {
  EXPECT_THAT(store_->Commit({Put("a", "one"), Delete("a")}),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(Read("a"), "<none>");
}

TEST_P(StoreContract, WorksOnAfterARefusedCommit) {
  ASSERT_THAT(store_->Commit({Put("a", "one", 9)}), HasError(ErrorCode::kConflict));
  EXPECT_THAT(store_->Commit({Put("a", "one")}), IsOkAndHolds(Revision{1}));
}

TEST_P(StoreContract, ListsInBytewiseOrderUnderThePrefixOnly) {
  ASSERT_THAT(store_->Commit({Put("k/b", ""), Put("k/a", ""), Put("k/B", ""), Put("k/\xC3\xA9", ""),
                              Put("k", ""), Put("k0", ""), Put("j/z", "")}),
              IsOk());
  EXPECT_THAT(Paths("k/"), ::testing::ElementsAre("k/B", "k/a", "k/b", "k/\xC3\xA9"));
}

TEST_P(StoreContract, ListsWithTheRevisionOfEachEntry) {
  ASSERT_THAT(store_->Commit({Put("a", "1"), Put("b", "1")}), IsOk());
  ASSERT_THAT(store_->Commit({Put("a", "2")}), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const auto listed, store_->List("", "", 10));
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].revision, 2U);
  EXPECT_EQ(listed[1].revision, 1U);
}

TEST_P(StoreContract, PagesWithoutGapOrRepetition) {
  std::vector<Mutation> mutations;
  std::vector<std::string> expected;
  for (int i = 100; i < 125; ++i) {
    expected.push_back("p/" + std::to_string(i));
    mutations.push_back(Put(expected.back(), "v"));
  }
  mutations.push_back(Put("q", "v"));
  ASSERT_THAT(store_->Commit(mutations), IsOk());
  std::vector<std::string> seen;
  std::string after;
  for (std::vector<std::string> page = Paths("p/", after, 7); !page.empty();
       page = Paths("p/", after, 7)) {
    EXPECT_LE(page.size(), 7U);
    seen.insert(seen.end(), page.begin(), page.end());
    after = seen.back();
  }
  EXPECT_EQ(seen, expected);
}

TEST_P(StoreContract, ListsAfterAPathThatIsNotThereOrLiesOutsideThePrefix) {
  ASSERT_THAT(store_->Commit({Put("p/a", ""), Put("p/c", ""), Put("z", "")}), IsOk());
  EXPECT_THAT(Paths("p/", "p/b"), ::testing::ElementsAre("p/c"));
  EXPECT_THAT(Paths("p/", "a"), ::testing::ElementsAre("p/a", "p/c"));
  EXPECT_THAT(Paths("p/", "q"), ::testing::IsEmpty());
}

TEST_P(StoreContract, RefusesAListOfNothing) {
  EXPECT_THAT(store_->List("", "", 0), HasError(ErrorCode::kInvalidArgument));
}

TEST_P(StoreContract, TellsListenersOfEachCommitBeforeItReturns) {
  std::vector<std::pair<Revision, std::vector<std::string>>> heard;
  store_->Subscribe([&](Revision revision, const std::vector<std::string>& paths) {
    heard.emplace_back(revision, paths);
  });
  ASSERT_THAT(store_->Commit({Put("a", "1"), Delete("b")}), IsOk());
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0].first, 1U);
  EXPECT_THAT(heard[0].second, ::testing::ElementsAre("a", "b"));
}

TEST_P(StoreContract, TellsListenersNothingOfARefusedCommit) {
  int heard = 0;
  store_->Subscribe([&](Revision, const std::vector<std::string>&) { ++heard; });
  ASSERT_THAT(store_->Commit({Put("a", "1", 5)}), HasError(ErrorCode::kConflict));
  EXPECT_EQ(heard, 0);
}

TEST_P(StoreContract, LetsExactlyOneOfManyWritersWinEachRevision) {
  constexpr int kWriters = 4;
  constexpr int kRounds = 25;
  ASSERT_THAT(store_->Commit({Put("counter", "")}), IsOk());
  std::atomic<int> wins{0};
  const auto race = [&] {
    for (int round = 0; round < kRounds;) {
      const auto found = store_->Get("counter");
      if (!found.has_value() || !*found) {
        return;
      }
      Mutation next{
          .path = "counter", .value = (*found)->value, .expected_revision = (*found)->revision};
      next.value->push_back('x');
      const auto committed = store_->Commit({next});
      if (committed.has_value()) {
        ++wins;
        ++round;
      } else if (committed.error().code != ErrorCode::kConflict) {
        return;
      }
    }
  };
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back(race);
    }
  }
  EXPECT_EQ(wins.load(), kWriters * kRounds);
  EXPECT_EQ(Read("counter").size(), static_cast<std::size_t>(kWriters * kRounds));
}

}  // namespace kms::testing
