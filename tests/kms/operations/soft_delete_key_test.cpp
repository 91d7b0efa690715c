// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/soft_delete_key.h"

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::EncryptUnder;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

constexpr const char* kRefusal = "refusing to use soft-deleted key";

TEST(SoftDeleteKey, C18_TakesTheKeyFromTheHotLaneAtOnce) {
  KeyWorld world;
  world.CreateVersions(2);
  ASSERT_NE(world.environment().WarmKey("app"), nullptr);

  KMS_ASSERT_OK_AND_ASSIGN(const SoftDeleteOutcome outcome,
                           SoftDeleteKey(world.environment(), Name("app")));

  EXPECT_FALSE(outcome.was_already);
  EXPECT_TRUE(outcome.key->policy().soft_deleted);
  EXPECT_EQ(world.environment().WarmKey("app"), nullptr);
  EXPECT_THAT(CheckUsable(*world.Find()), HasError(ErrorCode::kInvalidArgument, kRefusal));
  std::string ciphertext;
  EXPECT_THAT(EncryptUnder(world.environment(), "app", "m", ciphertext),
              HasError(ErrorCode::kInvalidArgument, kRefusal));
  EXPECT_THAT(RotateKey(world.environment(), Name("app")),
              HasError(ErrorCode::kInvalidArgument, kRefusal));
}

TEST(SoftDeleteKey, LosesNothing) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(SoftDeleteKey(world.environment(), Name("app")), IsOk());
  world.Restart();
  EXPECT_TRUE(world.Find()->policy().soft_deleted);
  ASSERT_THAT(world.Configure(2, 0), IsOk()) << "administration goes on";

  KMS_ASSERT_OK_AND_ASSIGN(const SoftDeleteOutcome outcome,
                           RestoreSoftDeletedKey(world.environment(), Name("app")));

  EXPECT_FALSE(outcome.key->policy().soft_deleted);
  EXPECT_NE(world.environment().WarmKey("app"), nullptr);
  world.ExpectPromisesKept();
}

TEST(SoftDeleteKey, SaysWhenThereWasNothingToDo) {
  KeyWorld world;
  world.Create();
  EXPECT_TRUE(RestoreSoftDeletedKey(world.environment(), Name("app"))->was_already);
  ASSERT_THAT(SoftDeleteKey(world.environment(), Name("app")), IsOk());
  const int before = world.store.commits();
  EXPECT_TRUE(SoftDeleteKey(world.environment(), Name("app"))->was_already);
  EXPECT_EQ(world.store.commits(), before);
  EXPECT_EQ(SoftDeleteKey(world.environment(), Name("none"))->key, nullptr);
}

TEST(SoftDeleteKey, AllowsDeletion) {
  KeyWorld world;
  world.Create();
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  ASSERT_THAT(SoftDeleteKey(world.environment(), Name("app")), IsOk());
  EXPECT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  EXPECT_EQ(world.Find(), nullptr);
}

TEST(SoftDeleteKey, AnswersTheTruthAfterALostCommitAnswer) {
  KeyWorld world;
  world.Create();
  world.store.LoseNextCommitAnswer();
  KMS_ASSERT_OK_AND_ASSIGN(const SoftDeleteOutcome outcome,
                           SoftDeleteKey(world.environment(), Name("app")));
  EXPECT_TRUE(outcome.key->policy().soft_deleted);
  EXPECT_TRUE(world.Find()->policy().soft_deleted);
}

TEST(SoftDeleteKey, SaysSoWhenAFailedCommitChangedNothing) {
  KeyWorld world;
  world.Create();
  world.store.FailCommit(1);
  EXPECT_THAT(SoftDeleteKey(world.environment(), Name("app")), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(world.Find()->policy().soft_deleted);
}

}  // namespace
}  // namespace kms
