// SPDX-License-Identifier: Apache-2.0
// The life of a task: begun, throttled, cancelled, resumed, cut short by the end of the process.
#include <atomic>

#include "tests/kms/tasks/task_world.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::SizeIs;
using testing::TaskWorld;

class TaskRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override { world_.Begin(); }

  // One that will not end by itself soon: an entry in a hundred seconds.
  TaskRecord SubmitSlow() {
    const Result<TaskRecord> record =
        world_.runner->Submit({.kind = TaskKind::kRotateEnvironmentKey,
                               .environment = "prod",
                               .parameters = {},
                               .rate_limit = 1,
                               .asked_by = "root",
                               .accessor = {}});
    EXPECT_THAT(record, IsOk());
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (world_.runner->Find(record->id)->entries == 0 &&
           std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    return *world_.runner->Find(record->id);
  }

  TaskWorld world_;
};

TEST_F(TaskRunnerTest, RunsOneTaskOfAnEnvironmentAtATime) {
  const TaskRecord slow = SubmitSlow();
  for (const TaskKind kind : {TaskKind::kRotateEnvironmentKey, TaskKind::kRotateMasterKey}) {
    EXPECT_THAT(world_.Submit(kind),
                HasError(ErrorCode::kAlreadyExists, HasSubstr(slow.id.ToString())));
  }
  ASSERT_THAT(world_.runner->Throttle(slow.id, 0), IsOk());
  EXPECT_EQ(world_.Await(slow.id).state, TaskState::kDone);
}

TEST_F(TaskRunnerTest, EndsATaskThatIsCancelledAndGoesOnWhenItIsResumed) {
  const TaskRecord slow = SubmitSlow();
  KMS_ASSERT_OK_AND_ASSIGN(const TaskRecord cancelled, world_.runner->Cancel(slow.id));
  EXPECT_EQ(cancelled.state, TaskState::kCancelled);
  EXPECT_THAT(world_.runner->Cancel(slow.id), HasError(ErrorCode::kInvalidArgument));
  world_.ExpectPromisesKept();

  world_.Restart();
  EXPECT_EQ(world_.runner->Find(slow.id)->state, TaskState::kCancelled);
  ASSERT_THAT(world_.runner->Throttle(slow.id, 0), IsOk());
  ASSERT_THAT(world_.runner->Resume(slow.id), IsOk());
  EXPECT_EQ(world_.Await(slow.id).state, TaskState::kDone);
  EXPECT_THAT(world_.runner->Resume(slow.id), HasError(ErrorCode::kInvalidArgument));
  world_.ExpectOnlyEnvironmentKey(2);
}

TEST_F(TaskRunnerTest, D2_GoesOnByItselfAfterARestart) {
  const TaskRecord slow = SubmitSlow();
  ASSERT_THAT(world_.runner->Throttle(slow.id, 0), IsOk());
  world_.Stop();
  world_.Restart();
  EXPECT_EQ(world_.Await(slow.id).state, TaskState::kDone);
  world_.ExpectOnlyEnvironmentKey(2);
  world_.ExpectPromisesKept();
}

TEST_F(TaskRunnerTest, KeepsWhatIsOverForAMonth) {
  const TaskRecord done = world_.Do(TaskKind::kRotateMasterKey);
  EXPECT_THAT(world_.runner->List(), SizeIs(1));
  EXPECT_THAT(world_.runner->Tidy(), testing::IsOkAndHolds(0U));
  world_.clock.Advance(std::chrono::hours(24 * 31));
  world_.ProveLeases();
  EXPECT_THAT(world_.runner->Tidy(), testing::IsOkAndHolds(1U));
  EXPECT_EQ(world_.runner->Find(done.id), std::nullopt);
  world_.Restart();
  EXPECT_TRUE(world_.runner->List().empty());
}

TEST_F(TaskRunnerTest, ForgetsWhatIsOverWhenAskedAndNothingElse) {
  const TaskRecord slow = SubmitSlow();
  EXPECT_THAT(world_.runner->Delete(slow.id), HasError(ErrorCode::kInvalidArgument));
  ASSERT_THAT(world_.runner->Cancel(slow.id), IsOk());
  EXPECT_THAT(world_.runner->Delete(slow.id), IsOk());
  EXPECT_THAT(world_.runner->Delete(slow.id), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.runner->Cancel(slow.id), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.runner->Resume(slow.id), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.runner->Throttle(slow.id, 1), HasError(ErrorCode::kNotFound));
}

TEST_F(TaskRunnerTest, TriesAgainWhatMayPass) {
  world_.Stop();
  world_.task_options.max_failures = 1000;
  world_.Run();
  world_.store.FailCommit(2);
  world_.store.FailCommit(4, ErrorCode::kOutcomeUnknown);
  world_.store.LoseCommitAnswer(6);
  EXPECT_EQ(world_.Do(TaskKind::kRotateEnvironmentKey).state, TaskState::kDone);
  world_.ExpectOnlyEnvironmentKey(2);
  world_.ExpectPromisesKept();
}

TEST_F(TaskRunnerTest, WaitsWhileSomethingMustNotWaitForIt) {
  world_.Stop();
  std::atomic<bool> busy = true;
  std::atomic<int> asked = 0;
  world_.task_options.busy = [&] {
    ++asked;
    return busy.load();
  };
  world_.Run();
  KMS_ASSERT_OK_AND_ASSIGN(const TaskRecord record, world_.Submit(TaskKind::kRotateMasterKey));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (asked < 3 && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_GE(asked, 3);
  KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial keys, world_.environments().ReadKeys("prod"));
  EXPECT_FALSE(keys.members.at("default").masters.contains(2)) << "nothing is made meanwhile";
  busy = false;
  EXPECT_EQ(world_.Await(record.id).state, TaskState::kDone);
  world_.Stop();
}

TEST_F(TaskRunnerTest, DoesNothingThatCannotBeRecorded) {
  world_.audit.FailWrites();
  const TaskRecord failed = world_.Do(TaskKind::kRotateMasterKey);
  EXPECT_EQ(failed.state, TaskState::kFailed);
  EXPECT_EQ(world_.environments().ReadKeys("prod")->group.current_master, 1U);
}

TEST_F(TaskRunnerTest, RecordsBeginAndEndWithCounts) {
  const std::size_t before = world_.audit.records().size();
  const TaskRecord done = world_.Do(TaskKind::kRotateEnvironmentKey);
  const std::vector<std::string> records = world_.audit.records();
  ASSERT_EQ(records.size(), before + 2);
  EXPECT_THAT(records[before], HasSubstr("task-begin"));
  EXPECT_THAT(records[before], HasSubstr("sys/environments/prod/rotate-key"));
  EXPECT_THAT(records[before + 1], HasSubstr("task-end"));
  EXPECT_THAT(records[before + 1], HasSubstr(std::to_string(done.entries)));
}

TEST_F(TaskRunnerTest, DoesNotTouchALaterEnvironmentOfThatName) {
  const TaskRecord slow = SubmitSlow();
  ASSERT_THAT(world_.runner->Cancel(slow.id), IsOk());
  ASSERT_THAT(world_.environments().Delete(testing::EnvName("prod")), IsOk());
  world_.Make("prod");
  ASSERT_THAT(world_.runner->Resume(slow.id), IsOk());
  const TaskRecord failed = world_.Await(slow.id);
  EXPECT_EQ(failed.state, TaskState::kFailed);
  EXPECT_THAT(failed.error, HasSubstr("was deleted"));
}

TEST_F(TaskRunnerTest, LeavesOutADamagedRecord) {
  const TaskRecord done = world_.Do(TaskKind::kRotateMasterKey);
  world_.Stop();
  const std::string path =
      "e/" + world_.environments().sys()->identity().id.ToString() + "/tasks/" + done.id.ToString();
  world_.store.Tamper(path, Bytes(80, 1));
  std::vector<std::string> alarms;
  world_.task_options.alarm = [&](std::string_view what) { alarms.emplace_back(what); };
  world_.Run();
  EXPECT_TRUE(world_.runner->List().empty());
  EXPECT_THAT(alarms, SizeIs(1));
}

}  // namespace
}  // namespace kms
