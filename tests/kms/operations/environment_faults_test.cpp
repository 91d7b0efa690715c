// SPDX-License-Identifier: Apache-2.0
// Starting, creating and deleting environments with each store and HSM call failing in turn, and
// with answers lost: nothing acknowledged is harmed and every step can be repeated.
#include <functional>
#include <memory>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::EnvName;
using testing::FailEachCall;
using testing::IsOk;
using testing::To;
using testing::World;

// One way for the n-th call to go wrong.
struct Fault {
  std::string name;
  std::function<void(World&, int n)> plan;
};

std::vector<Fault> Faults() {
  const auto n64 = [](int n) { return static_cast<std::uint64_t>(n); };
  return {
      {"StoreCallFails", [](World& world, int n) { world.store.FailCall(n); }},
      {"CommitIsUncertain",
       [](World& world, int n) { world.store.FailCommit(n, ErrorCode::kOutcomeUnknown); }},
      {"HsmCallFails",
       [n64](World& world, int n) { world.device.FailCall(n64(n), Unavailable("away")); }},
      {"HsmAnswerIsLost",
       [n64](World& world, int n) {
         world.device.FailCallAfterActing(n64(n), Unavailable("late"));
       }},
  };
}

class EnvironmentFaults : public ::testing::TestWithParam<Fault> {
 protected:
  // A running service with one environment that has a key.
  void Arrange() {
    world_ = std::make_unique<World>();
    world_->Start();
    world_->Make("prod");
    const Result<KeyHandle> key = world_->MakeKey("prod", "app");
    ASSERT_THAT(key, IsOk());
    incarnation_ = (*key)->policy().incarnation;
  }
  void Heal() {
    world_->store.Heal();
    world_->device.ClearFaults();
  }
  void ExpectProdIntact() {
    const Result<KeyHandle> key = world_->FindKey("prod", "app");
    ASSERT_THAT(key, IsOk());
    ASSERT_NE(*key, nullptr);
    EXPECT_EQ((*key)->policy().incarnation, incarnation_);
  }

  std::unique_ptr<World> world_;
  Uuid incarnation_;
};

TEST_P(EnvironmentFaults, TheFirstStartCanBeRepeated) {
  FailEachCall({.arrange =
                    [&](int n) {
                      world_ = std::make_unique<World>();
                      GetParam().plan(*world_, n);
                    },
                .run = [&] { return world_->TryStart(); },
                .check =
                    [&](const Status& /*outcome*/) {
                      Heal();
                      world_->Start();
                      EXPECT_FALSE(world_->environments().sys()->sealed());
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(1));
                      world_->Make("prod");
                      world_->Start();
                      EXPECT_FALSE(world_->environments().Find("prod")->sealed());
                    }});
}

TEST_P(EnvironmentFaults, D2_CreationCanBeRepeated) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      GetParam().plan(*world_, n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(world_->environments().Create(EnvName("dev"), {}));
                  return Ok();
                },
                .check =
                    [&](const Status& outcome) {
                      Heal();
                      ExpectProdIntact();
                      if (!outcome.has_value()) {
                        ASSERT_THAT(world_->environments().Create(EnvName("dev"), {}), IsOk());
                      }
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(3))
                          << "an orphan master key was left";
                      EXPECT_THAT(world_->MakeKey("dev", "app"), IsOk());
                      world_->Start();
                      ExpectProdIntact();
                      EXPECT_THAT(world_->FindKey("dev", "app"), IsOk());
                    }});
}

TEST_P(EnvironmentFaults, D2_CreationCanBeRepeatedAfterARestart) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      GetParam().plan(*world_, n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(world_->environments().Create(EnvName("dev"), {}));
                  return Ok();
                },
                .check =
                    [&](const Status& /*outcome*/) {
                      Heal();
                      world_->Start();
                      ExpectProdIntact();
                      if (world_->environments().Find("dev") == nullptr) {
                        ASSERT_THAT(world_->environments().Create(EnvName("dev"), {}), IsOk());
                      }
                      EXPECT_FALSE(world_->environments().Find("dev")->sealed());
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(3));
                    }});
}

TEST_P(EnvironmentFaults, AnAbandonedCreationIsCleanedByDeletion) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      GetParam().plan(*world_, n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(world_->environments().Create(EnvName("dev"), {}));
                  return Ok();
                },
                .check =
                    [&](const Status& /*outcome*/) {
                      Heal();
                      ASSERT_THAT(world_->environments().Delete(EnvName("dev")), IsOk());
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(2));
                      ExpectProdIntact();
                      EXPECT_EQ(world_->environments().Find("dev"), nullptr);
                    }});
}

TEST_P(EnvironmentFaults, D2_DeletionCanBeRepeated) {
  std::size_t entries_before = 0;
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      entries_before = world_->store.Contents().size();
                      world_->Make("dev");
                      ASSERT_THAT(world_->MakeKey("dev", "app"), IsOk());
                      GetParam().plan(*world_, n);
                    },
                .run = [&] { return world_->environments().Delete(EnvName("dev")); },
                .check =
                    [&](const Status& outcome) {
                      Heal();
                      ExpectProdIntact();
                      if (!outcome.has_value()) {
                        ASSERT_THAT(world_->environments().Delete(EnvName("dev")), IsOk());
                      }
                      EXPECT_EQ(world_->environments().Find("dev"), nullptr);
                      EXPECT_EQ(world_->store.Contents().size(), entries_before);
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(2));
                      world_->Start();
                      ExpectProdIntact();
                    }});
}

TEST_P(EnvironmentFaults, D2_AnInterruptedDeletionEndsWithTheNextStart) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      world_->Make("dev");
                      ASSERT_THAT(world_->MakeKey("dev", "app"), IsOk());
                      GetParam().plan(*world_, n);
                    },
                .run = [&] { return world_->environments().Delete(EnvName("dev")); },
                .check =
                    [&](const Status& /*outcome*/) {
                      const bool began = world_->environments().Find("dev") == nullptr;
                      Heal();
                      world_->Start();
                      ExpectProdIntact();
                      EXPECT_EQ(world_->environments().Find("dev") == nullptr, began);
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(began ? 2 : 3));
                    }});
}

TEST_P(EnvironmentFaults, ANameBeingDeletedCanBeTakenAgain) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      world_->Make("dev");
                      ASSERT_THAT(world_->MakeKey("dev", "app"), IsOk());
                      GetParam().plan(*world_, n);
                    },
                .run = [&] { return world_->environments().Delete(EnvName("dev")); },
                .check =
                    [&](const Status& /*outcome*/) {
                      Heal();
                      if (world_->environments().Find("dev") != nullptr) {
                        return;
                      }
                      ASSERT_THAT(world_->environments().Create(EnvName("dev"), {}), IsOk());
                      KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle none,
                                               world_->FindKey("dev", "app"));
                      EXPECT_EQ(none, nullptr);
                      EXPECT_THAT(world_->device.master_key_ids(), SizeIs(3));
                    }});
}

INSTANTIATE_TEST_SUITE_P(Faults, EnvironmentFaults, ::testing::ValuesIn(Faults()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(EnvironmentAnswers, D6_LostCommitAnswersAreToldTruthfully) {
  World world;
  world.store.LoseNextCommitAnswer();
  world.Start();
  world.store.LoseNextCommitAnswer();
  ASSERT_THAT(world.environments().Create(EnvName("dev"), {}), IsOk());
  EnvironmentSettings settings;
  settings.description = "tuned";
  world.store.LoseNextCommitAnswer();
  ASSERT_THAT(world.environments().Tune(EnvName("dev"), To(settings)), IsOk());
  world.Start();
  EXPECT_EQ(world.environments().Find("dev")->settings().description, "tuned");
  world.store.LoseNextCommitAnswer();
  ASSERT_THAT(world.environments().Delete(EnvName("dev")), IsOk());
  EXPECT_THAT(world.environments().List(), IsEmpty());
  EXPECT_THAT(world.device.master_key_ids(), SizeIs(1));
}

}  // namespace
}  // namespace kms
