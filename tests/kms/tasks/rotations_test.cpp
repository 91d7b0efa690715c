// SPDX-License-Identifier: Apache-2.0
// The three long rotations: what they do, what stays, and what refuses.
#include <atomic>
#include <set>

#include "kms/backup/backup_list.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/signature.h"
#include "kms/master/guarded_device.h"
#include "kms/tasks/destruction_statement.h"
#include "tests/kms/tasks/task_world.h"

namespace kms {
namespace {

using ::testing::Contains;
using testing::EncryptUnder;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::Name;
using testing::TaskWorld;

class Rotations : public ::testing::Test {
 protected:
  void SetUp() override { world_.Begin(); }

  GroupMaterial Keys() { return world_.environments().ReadKeys("prod").value(); }
  // Of both tokens together.
  std::size_t MasterKeysInTokens() {
    return world_.device.master_key_ids().size() + world_.second().master_key_ids().size();
  }

  TaskWorld world_;
};

// ---- environment key ----------------------------------------------------------------------------

TEST_F(Rotations, SealEveryEntryAgainUnderTheNewEnvironmentKey) {
  const TaskRecord done = world_.Do(TaskKind::kRotateEnvironmentKey);

  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  EXPECT_GE(done.entries, TaskWorld::kKeys);
  EXPECT_THAT(done.notes, IsEmpty());
  world_.ExpectOnlyEnvironmentKey(2);
  world_.ExpectPromisesKept();
  world_.Restart();
  EXPECT_FALSE(world_.prod().sealed());
  world_.ExpectPromisesKept();
}

TEST_F(Rotations, RotateTheKeyOfSysToo) {
  const Result<TaskRecord> record = world_.runner->Submit(
      {.kind = TaskKind::kRotateEnvironmentKey, .environment = "sys", .parameters = {}});
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(world_.Await(record->id).state, TaskState::kDone);
  world_.Restart();
  EXPECT_EQ(world_.runner->Find(record->id)->state, TaskState::kDone);
  KMS_ASSERT_OK_AND_ASSIGN(const auto counts, world_.environments().CountEntries("sys"));
  EXPECT_EQ(counts.size(), 1U);
  EXPECT_TRUE(counts.contains(2));
}

TEST_F(Rotations, KeepOldEnvironmentKeysWhileAnEntryDoesNotOpen) {
  const std::string path = "e/" + world_.prod().identity().id.ToString() + "/keys/key0";
  Bytes damaged = world_.store.Contents().at(path).value;
  damaged.back() ^= 1U;
  world_.store.Tamper(path, damaged);

  const TaskRecord failed = world_.Do(TaskKind::kRotateEnvironmentKey);
  EXPECT_EQ(failed.state, TaskState::kFailed);
  EXPECT_THAT(failed.error, HasSubstr("1 entries are sealed under older environment keys"));
  EXPECT_EQ(Keys().Versions(), (std::vector<EnvironmentKeyVersion>{1, 2}));

  damaged.back() ^= 1U;
  world_.store.Tamper(path, damaged);
  ASSERT_THAT(world_.runner->Resume(failed.id), IsOk());
  EXPECT_EQ(world_.Await(failed.id).state, TaskState::kDone);
  world_.ExpectOnlyEnvironmentKey(2);
  world_.ExpectPromisesKept();
}

TEST_F(Rotations, D2_SayWhatIsStillToComeForATokenThatIsAway) {
  world_.second().SetPresent(false);
  const TaskRecord done = world_.Do(TaskKind::kRotateEnvironmentKey);
  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  EXPECT_THAT(done.notes, Contains(HasSubstr("HSM second")));
  world_.ExpectPromisesKept();

  world_.second().SetPresent(true);
  world_.clock.Advance(std::chrono::minutes(1));
  world_.ProveLeases();
  world_.ProveLeases();
  world_.device.SetPresent(false);
  world_.Stop();
  world_.store.Heal();
  EXPECT_THAT(Keys().members.at("second").wraps, Contains(::testing::Key(2U)));
}

// Nobody's change is refused because an entry was sealed again meanwhile.
TEST_F(Rotations, AreNotNoticedByThoseWhoWork) {
  std::atomic<bool> stop = false;
  std::atomic<int> rounds = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([this, writer, &stop, &rounds] {
      Environment& prod = world_.prod();
      for (int round = 0; !stop || round < 3; ++round) {
        const std::string name = "w" + std::to_string(writer) + "-" + std::to_string(round);
        ASSERT_THAT(CreateKey(prod, Name(name), {}), IsOk());
        ASSERT_THAT(RotateKey(prod, Name(name)), IsOk());
        std::string ciphertext;
        ASSERT_THAT(EncryptUnder(prod, name, "text", ciphertext), IsOk());
        ASSERT_THAT(ConfigureKey(prod, Name(name),
                                 {.min_decryption_version = 2, .min_encryption_version = 2}),
                    IsOk());
        ASSERT_THAT(TrimKey(prod, Name(name), 2), IsOk());
        prod.ForgetKey(name);
        ASSERT_THAT(prod.FindKey(Name(name)), IsOk());
        ASSERT_THAT(ConfigureKey(prod, Name(name), {.deletion_allowed = true}), IsOk());
        ASSERT_THAT(DeleteKey(prod, Name(name)), IsOk());
        ASSERT_THAT(RotateKey(prod, Name("key" + std::to_string(writer))), IsOk());
        ++rounds;
      }
    });
  }
  EnvironmentKeyVersion version = 1;
  while (version < 6 || rounds < 9) {
    const TaskRecord done = world_.Do(TaskKind::kRotateEnvironmentKey);
    EXPECT_EQ(done.state, TaskState::kDone) << done.error;
    ++version;
    if (::testing::Test::HasFailure()) {
      break;
    }
  }
  stop = true;
  for (std::thread& writer : writers) {
    writer.join();
  }
  world_.ExpectPromisesKept();
  world_.Restart();
  world_.ExpectPromisesKept();
}

// ---- master key ---------------------------------------------------------------------------------

TEST_F(Rotations, PutTheNextMasterKeyToUseInEveryToken) {
  const TaskRecord done = world_.Do(TaskKind::kRotateMasterKey);

  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  const GroupMaterial keys = Keys();
  EXPECT_EQ(keys.group.current_master, 2U);
  for (const char* hsm : {"default", "second"}) {
    EXPECT_TRUE(keys.members.at(hsm).masters.contains(1)) << hsm;
    EXPECT_TRUE(keys.members.at(hsm).masters.contains(2)) << hsm;
    EXPECT_TRUE(keys.members.at(hsm).wraps.at(1).contains(2)) << hsm;
  }
  world_.Restart();
  world_.ExpectPromisesKept();
}

TEST_F(Rotations, H25_MakeNoSecondMasterKeyOfOneVersion) {
  const std::size_t before = MasterKeysInTokens();
  // The key is made in the token, and the process dies before that is stored.
  world_.store.FailCommit(2);
  world_.task_options.max_failures = 0;
  const Result<TaskRecord> record = world_.Submit(TaskKind::kRotateMasterKey);
  ASSERT_THAT(record, IsOk());
  const TaskRecord failed = world_.Await(record->id);
  world_.store.Heal();
  world_.Restart();
  if (world_.runner->Find(failed.id)->state == TaskState::kFailed) {
    ASSERT_THAT(world_.runner->Resume(failed.id), IsOk());
  }
  EXPECT_EQ(world_.Await(failed.id).state, TaskState::kDone);
  EXPECT_EQ(MasterKeysInTokens(), before + 2);
}

TEST_F(Rotations, LeaveATokenThatIsAwayForLater) {
  world_.second().SetPresent(false);
  const TaskRecord done = world_.Do(TaskKind::kRotateMasterKey);
  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  EXPECT_THAT(done.notes, Contains(HasSubstr("HSM second")));
  EXPECT_EQ(Keys().group.current_master, 2U);
  world_.second().SetPresent(true);
  world_.clock.Advance(std::chrono::minutes(1));
  world_.ProveLeases();
  EXPECT_TRUE(Keys().members.at("second").masters.contains(2));
}

TEST_F(Rotations, SwitchToNothingWhenNoTokenAnswers) {
  world_.device.SetPresent(false);
  world_.second().SetPresent(false);
  const TaskRecord failed = world_.Do(TaskKind::kRotateMasterKey);
  EXPECT_EQ(failed.state, TaskState::kFailed);
  EXPECT_EQ(Keys().group.current_master, 1U);
}

TEST_F(Rotations, H20_SwitchToNoMasterKeyWhoseWrapsDoNotOpen) {
  world_.device.CorruptNextWrap();
  const TaskRecord failed = world_.Do(TaskKind::kRotateMasterKey);
  // Either it was tried again or it failed; what is stored opens.
  world_.device.ClearFaults();
  for (const auto& [hsm, member] : Keys().members) {
    for (const auto& [version, wraps] : member.wraps) {
      for (const auto& [master, wrap] : wraps) {
        EXPECT_THAT(world_.hsms().Find(hsm)->Unwrap(
                        member.masters.at(master), wrap,
                        EnvironmentKeyContext(world_.prod().identity().id, version),
                        world_.clock.SteadyNow() + std::chrono::seconds(1)),
                    IsOk())
            << hsm << " " << master << " " << TaskStateName(failed.state);
      }
    }
  }
  world_.ExpectPromisesKept();
}

TEST_F(Rotations, JoinATokenByItsLabelFirst) {
  TaskWorld alone;
  alone.Begin({"default"});
  const TaskRecord done = alone.Do(TaskKind::kRotateMasterKey, {{"to_hsm", "fake two"}});
  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  EXPECT_EQ(done.parameters.at("to_hsm"), "second");
  const GroupMaterial keys = alone.environments().ReadKeys("prod").value();
  EXPECT_EQ(keys.group.members.size(), 2U);
  EXPECT_TRUE(keys.members.at("second").masters.contains(2));
  EXPECT_THAT(alone.Submit(TaskKind::kRotateMasterKey, {{"to_hsm", "nobody"}}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("nobody")));
}

// ---- retirement ---------------------------------------------------------------------------------

TEST_F(Rotations, DestroyARetiredMasterKeyAndSignThat) {
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  const std::size_t before = MasterKeysInTokens();
  const std::set<Uuid> old = {Keys().members.at("default").masters.at(1).id,
                              Keys().members.at("second").masters.at(1).id};

  const TaskRecord done = world_.Do(TaskKind::kRetireMasterKey, {{"version", "1"}});

  EXPECT_EQ(done.state, TaskState::kDone) << done.error;
  EXPECT_EQ(MasterKeysInTokens(), before - 2);
  for (const auto& [hsm, member] : Keys().members) {
    EXPECT_FALSE(member.masters.contains(1)) << hsm;
    EXPECT_FALSE(member.wraps.at(1).contains(1)) << hsm;
  }
  KMS_ASSERT_OK_AND_ASSIGN(const auto statement,
                           ReadStatement(world_.environments().sys()->store(), done.id));
  ASSERT_TRUE(statement.has_value());
  ASSERT_TRUE(statement->complete());
  std::set<Uuid> destroyed;
  for (const DestroyedObject& object : statement->objects) {
    destroyed.insert(object.id);
    EXPECT_THAT(statement->text, HasSubstr(object.id.ToString()));
  }
  EXPECT_EQ(destroyed, old);
  KMS_ASSERT_OK_AND_ASSIGN(
      const AsymmetricKey key,
      ImportPublicKeyDer(AsymmetricAlgorithm::kEcdsaP256, statement->public_key));
  EXPECT_TRUE(VerifySignature(key, {}, AsBytes(statement->text), statement->signature).value());
  world_.Restart();
  world_.ExpectPromisesKept();
}

// Rows of master keys are not sealed: one may be written over with the key of another environment.
TEST_F(Rotations, D10_RetireNoKeyOfAnotherEnvironment) {
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  const std::set<Uuid> before = world_.device.master_key_ids();
  const MasterKeyRecord of_sys = world_.MasterOf(*world_.environments().sys());
  MasterKeyRecord disguised = of_sys;
  disguised.label = "kms/prod/1";
  const std::string path = MasterPath(world_.prod().identity().id, "default", 1);
  const auto write = [&](const MasterKeyRecord& record) {
    return world_.store.Commit(
        {{.path = path, .value = record.Encode(), .expected_revision = std::nullopt}});
  };

  ASSERT_THAT(write(of_sys), IsOk());
  EXPECT_THAT(world_.Submit(TaskKind::kRetireMasterKey, {{"version", "1"}}),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("kms/sys/1")));

  ASSERT_THAT(write(disguised), IsOk());
  const TaskRecord failed = world_.Do(TaskKind::kRetireMasterKey, {{"version", "1"}});
  EXPECT_NE(failed.state, TaskState::kDone);
  EXPECT_THAT(failed.error, HasSubstr("kms/sys/1"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto statement,
                           ReadStatement(world_.environments().sys()->store(), failed.id));
  EXPECT_FALSE(statement.has_value() && statement->complete()) << "nothing was destroyed";

  EXPECT_EQ(world_.device.master_key_ids(), before);
  world_.Restart();
  world_.ExpectPromisesKept();
}

TEST_F(Rotations, RefuseToRetireWhatIsNeeded) {
  EXPECT_THAT(world_.Submit(TaskKind::kRetireMasterKey, {{"version", "1"}}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("it is the current version")));
  EXPECT_THAT(world_.Submit(TaskKind::kRetireMasterKey, {{"version", "7"}}),
              HasError(ErrorCode::kNotFound, HasSubstr("version 7")));
  EXPECT_THAT(world_.Submit(TaskKind::kRetireMasterKey, {{"version", "x"}}),
              HasError(ErrorCode::kInvalidArgument));
}

TEST_F(Rotations, RefuseToRetireWhileATokenIsAwayOrLacksTheNewVersion) {
  world_.second().SetPresent(false);
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  const Result<TaskRecord> refused = world_.Submit(TaskKind::kRetireMasterKey, {{"version", "1"}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().public_message, HasSubstr("HSM second has it and is away"));
  EXPECT_THAT(refused.error().public_message, HasSubstr("under no other version"));
  EXPECT_TRUE(Keys().members.at("default").masters.contains(1));
}

TEST_F(Rotations, RefuseToRetireWhatABackupNeeds) {
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  BackupList backups(world_.environments().sys()->store(), world_.clock);
  BackupRecord backup;
  backup.id = Uuid::Random();
  backup.created_unix_seconds = ToUnixSeconds(world_.clock.Now());
  backup.expires_unix_seconds = backup.created_unix_seconds + 3600;
  backup.master_keys = {{.environment_id = world_.prod().identity().id,
                         .environment = "prod",
                         .hsm = "default",
                         .version = 1,
                         .master_key_id = Keys().members.at("default").masters.at(1).id}};
  ASSERT_THAT(backups.Put(backup), IsOk());

  EXPECT_THAT(world_.Submit(TaskKind::kRetireMasterKey, {{"version", "1"}}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr(backup.id.ToString())));
  world_.clock.Advance(std::chrono::hours(2));
  world_.ProveLeases();
  EXPECT_EQ(world_.Do(TaskKind::kRetireMasterKey, {{"version", "1"}}).state, TaskState::kDone);
}

// ---- plans --------------------------------------------------------------------------------------

TEST_F(Rotations, SayWhatTheyWouldDoAndDoNothing) {
  const auto before = world_.store.Contents();
  for (const TaskKind kind :
       {TaskKind::kRotateEnvironmentKey, TaskKind::kRotateMasterKey, TaskKind::kRetireMasterKey}) {
    KMS_ASSERT_OK_AND_ASSIGN(
        const TaskPlan plan,
        world_.runner->Plan(
            {.kind = kind, .environment = "prod", .parameters = {{"version", "1"}}}));
    EXPECT_FALSE(plan.steps.empty());
    EXPECT_EQ(plan.refusals.empty(), kind != TaskKind::kRetireMasterKey);
  }
  EXPECT_EQ(world_.store.Contents().size(), before.size());
  EXPECT_EQ(Keys().group.current_master, 1U);
  EXPECT_THAT(world_.runner->Plan({.kind = TaskKind::kRotateMasterKey, .environment = "none"}),
              HasError(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace kms
