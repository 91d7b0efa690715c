// SPDX-License-Identifier: Apache-2.0
// O11: rotate everything in an environment, with the census of what is old.
#include <gmock/gmock.h>

#include "kms/operations/import_key.h"
#include "tests/kms/tasks/task_world.h"

namespace kms {
namespace {

using ::testing::Contains;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::TaskWorld;

constexpr TaskKind kKind = TaskKind::kRotateEverything;

class RotateEverythingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.options.audit = &world_.audit;
    world_.Begin();
  }

  KeyVersionNumber LatestOf(const std::string& name) {
    const Result<KeyHandle> key = world_.FindKey("prod", name);
    return key.has_value() && *key != nullptr ? (*key)->policy().latest_version : 0;
  }
  void ExpectEverythingRotatedOnce() {
    for (std::size_t index = 0; index < TaskWorld::kKeys; ++index) {
      EXPECT_EQ(LatestOf("key" + std::to_string(index)), 2U) << index;
    }
    world_.ExpectOnlyEnvironmentKey(2);
    KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial keys, world_.environments().ReadKeys("prod"));
    EXPECT_EQ(keys.group.current_master, 2U);
    world_.ExpectPromisesKept();
  }

  TaskWorld world_;
};

TEST_F(RotateEverythingTest, O11_EveryKeyAndBothKeysAboveItGetANewVersion) {
  world_.clock.Advance(std::chrono::seconds(10));
  const TaskRecord done = world_.Do(kKind);
  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  ExpectEverythingRotatedOnce();
  EXPECT_THAT(done.notes, Contains(HasSubstr("5 older versions of 5 keys still decrypt")));
  EXPECT_THAT(done.notes, Contains(HasSubstr("master key version 1 stays")));
  EXPECT_THAT(world_.audit.records(), Contains(HasSubstr("rotation of everything, asked by root")));
}

// They were left as they were, and the task was done.
TEST_F(RotateEverythingTest, O11_KeysMadeInTheSameSecondBeforeItAreOldToo) {
  world_.clock.Advance(std::chrono::milliseconds(1));
  const TaskRecord done = world_.Do(kKind);
  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  ExpectEverythingRotatedOnce();
}

TEST_F(RotateEverythingTest, O11_PlanIsTheCensusAndChangesNothing) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const TaskPlan plan,
      world_.runner->Plan({.kind = kKind, .environment = "prod", .asked_by = "root"}));
  EXPECT_EQ(plan.entries, TaskWorld::kKeys);
  EXPECT_THAT(plan.steps, Contains(HasSubstr("give 5 keys a new version")));
  EXPECT_EQ(LatestOf("key0"), 1U);
  EXPECT_THAT(world_.runner->Plan({.kind = kKind, .environment = "nowhere"}),
              HasError(ErrorCode::kNotFound));
}

TEST_F(RotateEverythingTest, O11_KeysThatDoNotRotateAreNamed) {
  KeyPolicy policy;
  policy.name = "theirs";
  policy.imported = true;
  KMS_ASSERT_OK_AND_ASSIGN(KeyVersion version,
                           KeyVersion::Generate(policy.type, 1, world_.clock.Now()));
  ASSERT_THAT(StoreImportedKey(world_.prod(), policy, std::move(version)), IsOk());
  world_.clock.Advance(std::chrono::seconds(10));
  const TaskRecord done = world_.Do(kKind);
  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  EXPECT_THAT(done.notes, Contains(HasSubstr("key theirs is not rotated")));
  EXPECT_EQ(LatestOf("theirs"), 1U);
  ExpectEverythingRotatedOnce();
}

// Killed at every commit: a new process goes on, and no key is rotated twice.
TEST_F(RotateEverythingTest, O11_GoesOnAfterACrashAtAnyCommit) {
  for (int n = 1; n <= 60; ++n) {
    TaskWorld world;
    world.Begin();
    world.clock.Advance(std::chrono::seconds(10));
    world.store.FailCommit(n, ErrorCode::kUnavailable);
    if (const Result<TaskRecord> submitted = world.runner->Submit(
            {.kind = kKind, .environment = "prod", .asked_by = "root", .accessor = "a"})) {
      world.Await(submitted->id);
    }
    world.Stop();
    world.store.Heal();
    world.Restart();
    for (const TaskRecord& record : world.runner->List()) {
      if (record.state == TaskState::kFailed) {
        ASSERT_THAT(world.runner->Resume(record.id), IsOk());
      }
      EXPECT_EQ(world.Await(record.id).state, TaskState::kDone) << n;
      for (std::size_t index = 0; index < TaskWorld::kKeys; ++index) {
        const Result<KeyHandle> key = world.FindKey("prod", "key" + std::to_string(index));
        ASSERT_THAT(key, IsOk());
        EXPECT_EQ((*key)->policy().latest_version, 2U) << "commit " << n << ", key " << index;
      }
      world.ExpectOnlyEnvironmentKey(2);
    }
    world.ExpectPromisesKept();
  }
}

}  // namespace
}  // namespace kms
