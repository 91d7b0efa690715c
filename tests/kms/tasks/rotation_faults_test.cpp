// SPDX-License-Identifier: Apache-2.0
// Every rotation cut short at each call of store and HSM, then taken up by a new process: nothing
// acknowledged is lost and no version is made twice (failures D2, H25).
#include <functional>
#include <set>

#include "kms/tasks/destruction_statement.h"
#include "tests/kms/tasks/task_world.h"

namespace kms {
namespace {

using testing::IsOk;
using testing::TaskWorld;

struct Fault {
  const char* name;
  std::function<void(TaskWorld& world, int n)> plan;
  std::function<int(TaskWorld& world)> calls;  // so far, of the kind that fails
};

std::vector<Fault> Faults() {
  const Error away = Unavailable("planned by the test");
  const auto commits = [](TaskWorld& world) { return world.store.commits(); };
  const auto first = [](TaskWorld& world) { return static_cast<int>(world.device.calls()); };
  const auto second = [](TaskWorld& world) { return static_cast<int>(world.second().calls()); };
  return {
      {"the store fails", [](TaskWorld& world, int n) { world.store.FailCall(n); },
       [](TaskWorld& world) { return world.store.calls(); }},
      {"a commit has an unknown outcome",
       [](TaskWorld& world, int n) { world.store.FailCommit(n, ErrorCode::kOutcomeUnknown); },
       commits},
      {"the answer to a commit is lost",
       [](TaskWorld& world, int n) { world.store.LoseCommitAnswer(n); }, commits},
      {"the first token fails",
       [away](TaskWorld& world, int n) {
         world.device.FailCall(static_cast<std::uint64_t>(n), away);
       },
       first},
      {"the first token's answer is lost",
       [away](TaskWorld& world, int n) {
         world.device.FailCallAfterActing(static_cast<std::uint64_t>(n), away);
       },
       first},
      {"the second token's answer is lost",
       [away](TaskWorld& world, int n) {
         world.second().FailCallAfterActing(static_cast<std::uint64_t>(n), away);
       },
       second},
  };
}

using Prepare = std::function<void(TaskWorld&)>;
using Check = std::function<void(TaskWorld&, const TaskRecord&)>;

// How many calls a run without faults makes.
int CallsOf(TaskKind kind, const std::map<std::string, std::string>& parameters, const Fault& fault,
            const Prepare& prepare) {
  TaskWorld world;
  world.Begin();
  prepare(world);
  const int before = fault.calls(world);
  EXPECT_EQ(world.Do(kind, parameters).state, TaskState::kDone);
  return fault.calls(world) - before;
}

// One run with the n-th call failing, which a new process takes up.
void CutShort(TaskKind kind, const std::map<std::string, std::string>& parameters,
              const Fault& fault, int n, const Prepare& prepare, const Check& check) {
  TaskWorld world;
  world.Begin();
  prepare(world);
  fault.plan(world, n);
  if (const Result<TaskRecord> submitted = world.Submit(kind, parameters)) {
    world.Await(submitted->id);
  }
  world.Stop();
  world.store.Heal();
  world.device.ClearFaults();
  world.second().ClearFaults();
  world.Restart();
  std::vector<TaskRecord> records = world.runner->List();
  std::erase_if(records, [&](const TaskRecord& record) { return record.kind != kind; });
  TaskRecord last = records.empty() ? world.Do(kind, parameters) : records.front();
  if (last.state == TaskState::kFailed) {
    EXPECT_THAT(world.runner->Resume(last.id), IsOk());
  }
  last = world.Await(last.id);
  EXPECT_EQ(last.state, TaskState::kDone) << last.error;
  world.Restart();
  world.ExpectPromisesKept();
  check(world, last);
}

void CutShortEverywhere(TaskKind kind, const std::map<std::string, std::string>& parameters,
                        const Fault& fault, const Prepare& prepare, const Check& check) {
  const int calls = CallsOf(kind, parameters, fault, prepare);
  for (int n = 1; n <= calls && !::testing::Test::HasFailure(); ++n) {
    SCOPED_TRACE(::testing::Message() << fault.name << ", call " << n << " of " << calls);
    CutShort(kind, parameters, fault, n, prepare, check);
  }
}

void NothingBefore(TaskWorld& /*world*/) {}

TEST(RotationFaults, D2_AnEnvironmentKeyRotationIsTakenUpAnywhere) {
  for (const Fault& fault : Faults()) {
    CutShortEverywhere(TaskKind::kRotateEnvironmentKey, {}, fault, NothingBefore,
                       [](TaskWorld& world, const TaskRecord&) {
                         const auto counts = world.environments().CountEntries("prod").value();
                         ASSERT_EQ(counts.size(), 1U);
                         EXPECT_GE(counts.begin()->first, 2U);
                         world.ExpectOnlyEnvironmentKey(counts.begin()->first);
                       });
  }
}

TEST(RotationFaults, H25_AMasterKeyRotationIsTakenUpAnywhere) {
  for (const Fault& fault : Faults()) {
    CutShortEverywhere(TaskKind::kRotateMasterKey, {}, fault, NothingBefore,
                       [](TaskWorld& world, const TaskRecord&) {
                         world.ProveLeases();
                         const GroupMaterial keys = world.environments().ReadKeys("prod").value();
                         EXPECT_EQ(keys.group.current_master, 2U);
                         for (const auto& [hsm, member] : keys.members) {
                           EXPECT_EQ(member.masters.size(), 2U) << hsm;
                         }
                         // `sys` has one on the first token, `prod` two on each.
                         EXPECT_EQ(world.device.master_key_ids().size(), 3U);
                         EXPECT_EQ(world.second().master_key_ids().size(), 2U);
                       });
  }
}

TEST(RotationFaults, D2_ARetirementIsTakenUpAnywhere) {
  for (const Fault& fault : Faults()) {
    CutShortEverywhere(
        TaskKind::kRetireMasterKey, {{"version", "1"}}, fault,
        [](TaskWorld& world) {
          ASSERT_EQ(world.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
        },
        [](TaskWorld& world, const TaskRecord& record) {
          EXPECT_EQ(world.device.master_key_ids().size(), 2U);
          EXPECT_EQ(world.second().master_key_ids().size(), 1U);
          const auto statement =
              ReadStatement(world.environments().sys()->store(), record.id).value();
          ASSERT_TRUE(statement.has_value());
          EXPECT_TRUE(statement->complete());
          EXPECT_EQ(statement->objects.size(), 2U);
        });
  }
}

TEST(RotationFaults, D2_ARetirementWithALostTokenIsTakenUpAnywhere) {
  for (const Fault& fault : Faults()) {
    CutShortEverywhere(
        TaskKind::kRetireMasterKey, {{"version", "1"}}, fault,
        [](TaskWorld& world) {
          ASSERT_EQ(world.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
          world.second().SetPresent(false);
          world.clock.Advance(std::chrono::seconds(6));
          world.ProveLeases();
          ASSERT_THAT(world.environments().LoseHsm("prod", "second", {.declared_by = "root"}),
                      IsOk());
        },
        [](TaskWorld& world, const TaskRecord& record) {
          EXPECT_EQ(world.device.master_key_ids().size(), 2U);
          const auto statement =
              ReadStatement(world.environments().sys()->store(), record.id).value();
          ASSERT_TRUE(statement.has_value());
          EXPECT_TRUE(statement->complete());
          EXPECT_EQ(statement->objects.size(), 1U);
          EXPECT_EQ(statement->not_destroyed.size(), 1U);
          const std::vector<LostHsm> lost = world.environments().LostHsms("prod").value();
          ASSERT_EQ(lost.size(), 1U);
          EXPECT_EQ(lost.front().master_keys.size(), 1U) << "of version 2";
        });
  }
}

}  // namespace
}  // namespace kms
