// SPDX-License-Identifier: Apache-2.0
// Retirement of master keys of which one copy is in a token that was declared lost: it goes on, and
// the statement says what could not be destroyed, by whose word.
#include "kms/crypto/key_import.h"
#include "kms/crypto/signature.h"
#include "kms/tasks/destruction_statement.h"
#include "tests/kms/tasks/task_world.h"

namespace kms {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::SizeIs;
using testing::TaskWorld;

const LossDeclaration kFire{.declared_by = "alice", .reason = "fire"};

void Lose(TaskWorld& world) {
  world.second().SetPresent(false);
  world.clock.Advance(std::chrono::seconds(6));
  world.ProveLeases();
  ASSERT_THAT(world.environments().LoseHsm("prod", "second", kFire), IsOk());
}

std::optional<DestructionStatement> StatementOf(TaskWorld& world, const Uuid& id) {
  return ReadStatement(world.environments().sys()->store(), id).value();
}

bool IsSigned(const DestructionStatement& statement) {
  const auto key = ImportPublicKeyDer(AsymmetricAlgorithm::kEcdsaP256, statement.public_key);
  return key.has_value() &&
         VerifySignature(*key, {}, AsBytes(statement.text), statement.signature).value_or(false);
}

class LostHsms : public ::testing::Test {
 protected:
  void SetUp() override { world_.Begin(); }
  TaskWorld world_;
};

TEST_F(LostHsms, AreNamedByTheStatementOfALaterRetirement) {
  const MasterKeyRecord lost = world_.MasterOf(world_.prod(), "second");
  Lose(world_);
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  const TaskRecord done = world_.Do(TaskKind::kRetireMasterKey, {{"version", "1"}});

  ASSERT_EQ(done.state, TaskState::kDone) << done.error;
  const auto statement = StatementOf(world_, done.id);
  ASSERT_TRUE(statement.has_value());
  ASSERT_THAT(statement->objects, SizeIs(1));
  EXPECT_EQ(statement->objects.front().hsm, "default");
  ASSERT_THAT(statement->not_destroyed, SizeIs(1));
  EXPECT_EQ(statement->not_destroyed.front().object.id, lost.id);
  EXPECT_THAT(statement->text,
              AllOf(HasSubstr(R"("statement":"kms master key destruction v2")"),
                    HasSubstr(R"("not_destroyed":[{"hsm":"second","token_label":"fake two",)"
                              R"("token_serial":"0002","cka_id":")" +
                              lost.id.ToString()),
                    HasSubstr(R"("declared_by":"alice","reason":"fire"}],"asked_by":"root")")));
  EXPECT_TRUE(IsSigned(*statement));
  EXPECT_THAT(world_.environments().LostHsms("prod").value().front().master_keys, IsEmpty())
      << "lost before version 2 was made";
  EXPECT_THAT(done.notes, ::testing::Contains(HasSubstr("could not be destroyed")));
  world_.Restart();
  world_.ExpectPromisesKept();
}

TEST_F(LostHsms, AreAWarningOfThePlan) {
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  Lose(world_);
  KMS_ASSERT_OK_AND_ASSIGN(const TaskPlan plan,
                           world_.runner->Plan({.kind = TaskKind::kRetireMasterKey,
                                                .environment = "prod",
                                                .parameters = {{"version", "1"}}}));
  EXPECT_THAT(plan.refusals, IsEmpty());
  EXPECT_THAT(plan.warnings, ElementsAre(AllOf(HasSubstr("stays in HSM second"),
                                               HasSubstr("declared lost by alice"))));
}

TEST_F(LostHsms, AreWhatTheRefusalOfARetirementPointsTo) {
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  world_.second().SetPresent(false);
  EXPECT_THAT(world_.Submit(TaskKind::kRetireMasterKey, {{"version", "1"}}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("kmsctl hsm remove NAME --lost")));
}

TEST_F(LostHsms, DoNotChangeAStatementWithoutThem) {
  ASSERT_EQ(world_.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
  const TaskRecord done = world_.Do(TaskKind::kRetireMasterKey, {{"version", "1"}});
  const auto statement = StatementOf(world_, done.id);
  ASSERT_TRUE(statement.has_value());
  EXPECT_THAT(statement->text, AllOf(HasSubstr("destruction v1"), Not(HasSubstr("not_destroyed"))));
}

// What was to be destroyed when the task began may be lost when it goes on: nothing claims that it
// was destroyed.
TEST(LostHsmsMeanwhile, MoveToWhatCouldNotBeDestroyed) {
  bool met = false;
  for (std::uint64_t call = 1; call <= 8 && !met; ++call) {
    TaskWorld world;
    world.Begin();
    ASSERT_EQ(world.Do(TaskKind::kRotateMasterKey).state, TaskState::kDone);
    world.second().FailCall(call, FailedPrecondition("planned by the test"));
    const Result<TaskRecord> submitted =
        world.Submit(TaskKind::kRetireMasterKey, {{"version", "1"}});
    if (!submitted.has_value() || world.Await(submitted->id).state != TaskState::kFailed) {
      continue;
    }
    const auto draft = StatementOf(world, submitted->id);
    if (!draft || draft->objects.size() != 2) {
      continue;
    }
    met = true;
    Lose(world);
    ASSERT_THAT(world.runner->Resume(submitted->id), IsOk());
    ASSERT_EQ(world.Await(submitted->id).state, TaskState::kDone);
    const auto statement = StatementOf(world, submitted->id);
    ASSERT_TRUE(statement.has_value());
    ASSERT_THAT(statement->objects, SizeIs(1));
    EXPECT_EQ(statement->objects.front().hsm, "default");
    EXPECT_THAT(statement->not_destroyed, SizeIs(1));
    EXPECT_TRUE(IsSigned(*statement));
  }
  EXPECT_TRUE(met) << "no call to the second token failed between draft and destruction";
}

}  // namespace
}  // namespace kms
