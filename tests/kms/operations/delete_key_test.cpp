// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/delete_key.h"

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

TEST(DeleteKey, LeavesNothingInCacheOrStore) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(world.Configure(1, 0), IsOk());

  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());

  EXPECT_EQ(world.environment().WarmKey("app"), nullptr);
  EXPECT_EQ(world.Find(), nullptr);
  EXPECT_THAT(world.Stored(""), IsEmpty());
}

TEST(DeleteKey, IsRefusedUntilItIsAllowed) {
  KeyWorld world;
  world.Create();

  EXPECT_THAT(DeleteKey(world.environment(), Name("app")),
              HasError(ErrorCode::kInvalidArgument,
                       "error deleting policy app: deletion is not allowed for this key"));
  EXPECT_NE(world.Find(), nullptr);
}

TEST(DeleteKey, NamesAnUnknownKey) {
  KeyWorld world;

  EXPECT_THAT(DeleteKey(world.environment(), Name("app")),
              HasError(ErrorCode::kInvalidArgument,
                       "error deleting policy app: could not delete key; not found"));
}

TEST(DeleteKey, AnswersTheTruthAfterALostCommitAnswer) {
  KeyWorld world;
  world.Create();
  ASSERT_THAT(world.Configure(1, 0), IsOk());

  world.store.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(DeleteKey(world.environment(), Name("app")), HasError(ErrorCode::kUnavailable));
  EXPECT_NE(world.Find(), nullptr);

  world.store.LoseNextCommitAnswer();
  EXPECT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  EXPECT_EQ(world.Find(), nullptr);
}

TEST(DeleteKey, D30_AReCreatedNameNeverOpensOldCiphertext) {
  KeyWorld world;
  world.CreateVersions(2);
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  world.Create();
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());

  for (const testing::Promise& promise : world.promises) {
    EXPECT_THAT(world.Decrypt(*world.Find(), promise), HasError(ErrorCode::kDecryptionFailed));
  }
}

TEST(DeleteKey, D30_OldArchiveEntriesDoNotFitTheNewIncarnation) {
  KeyWorld world;
  const Uuid first = world.Create()->policy().incarnation;
  const Bytes archived = world.store.Contents().at(world.Prefix() + ArchivePath(first, 1)).value;
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  const Uuid second = world.Create()->policy().incarnation;
  world.store.Tamper(world.Prefix() + ArchivePath(second, 1), archived);

  EXPECT_THAT(ReadArchive(world.environment(), second, 1, 1),
              HasError(ErrorCode::kCorrupted, "damaged entry"));
}

TEST(ListKeys, PagesInBytewiseOrder) {
  KeyWorld world;
  for (const char* name : {"b", "a", "Z", "a.b", "a-b"}) {
    world.Create(name);
  }

  KMS_ASSERT_OK_AND_ASSIGN(const auto all, ListKeys(world.environment(), "", 0));
  EXPECT_THAT(all, ElementsAre("Z", "a", "a-b", "a.b", "b"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto page, ListKeys(world.environment(), "a", 2));
  EXPECT_THAT(page, ElementsAre("a-b", "a.b"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto rest, ListKeys(world.environment(), "a.b", 10));
  EXPECT_THAT(rest, ElementsAre("b"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto none, ListKeys(world.environment(), "b", 0));
  EXPECT_THAT(none, IsEmpty());
}

TEST(ListKeys, ReadsMoreThanOnePage) {
  KeyWorld world;
  for (int index = 0; index < 1001; ++index) {
    world.Create("k" + std::to_string(index));
  }

  KMS_ASSERT_OK_AND_ASSIGN(const auto all, ListKeys(world.environment(), "", 0));
  EXPECT_EQ(all.size(), 1001U);
  KMS_ASSERT_OK_AND_ASSIGN(const auto page, ListKeys(world.environment(), "", 1000));
  EXPECT_EQ(page.size(), 1000U);
}

TEST(ListKeys, FailsWhileSealed) {
  KeyWorld world;
  world.Create();
  world.environment().Seal("the test says so");

  EXPECT_THAT(ListKeys(world.environment(), "", 0), HasError(ErrorCode::kUnavailable));
}

}  // namespace
}  // namespace kms
