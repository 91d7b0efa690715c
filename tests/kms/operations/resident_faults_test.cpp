// SPDX-License-Identifier: Apache-2.0
// What becomes of the objects of keys that live in an HSM token when store or token fail, call by
// call: none is left behind, none is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/resident_world.h"

namespace kms {
namespace {

using ::testing::IsEmpty;
using testing::IsOk;
using testing::Name;
using testing::ResidentWorld;

struct ResidentOperation {
  std::string name;
  bool exists_before = true;
  std::function<Status(ResidentWorld&)> run;
};

std::vector<ResidentOperation> Operations() {
  return {
      {"Create", false,
       [](ResidentWorld& world) -> Status {
         KMS_TRY(world.CreateInHsm());
         return Ok();
       }},
      {"Rotate", true,
       [](ResidentWorld& world) -> Status {
         KMS_TRY(RotateKey(world.environment(), Name("app")));
         return Ok();
       }},
      {"Trim", true,
       [](ResidentWorld& world) -> Status {
         KMS_TRY(TrimKey(world.environment(), Name("app"), 2));
         return Ok();
       }},
      {"Delete", true,
       [](ResidentWorld& world) { return DeleteKey(world.environment(), Name("app")); }},
  };
}

class ResidentFaults : public ::testing::TestWithParam<ResidentOperation> {
 protected:
  static std::unique_ptr<ResidentWorld> Prepared() {
    auto world = std::make_unique<ResidentWorld>();
    if (GetParam().exists_before) {
      EXPECT_THAT(world->CreateInHsm(), IsOk());
      EXPECT_THAT(RotateKey(world->environment(), Name("app")), IsOk());
      EXPECT_THAT(world->Configure(2, 2), IsOk());
      world->Encrypt();
    }
    world->Restart();
    return world;
  }

  // After a restart and the next sweep the tokens hold what the store knows, and nothing else.
  static void ExpectNothingLeftBehind(ResidentWorld& world) {
    world.store.Heal();
    world.first.ClearFaults();
    world.Restart();
    world.SweepLate();
    EXPECT_EQ(world.Objects(), world.Stored("archive/").size());
    EXPECT_EQ(world.Stored("resident/").size(), world.Stored("archive/").size());
    if (world.Find() != nullptr && !world.promises.empty()) {
      world.ExpectPromisesKept();
    }
  }
};

TEST_P(ResidentFaults, D2_EachStoreCallMayFail) {
  std::unique_ptr<ResidentWorld> world;
  testing::FailEachCall({.arrange =
                             [&](int n) {
                               world = Prepared();
                               world->store.FailCall(n);
                             },
                         .run = [&] { return GetParam().run(*world); },
                         .check = [&](const Status&) { ExpectNothingLeftBehind(*world); }});
}

TEST_P(ResidentFaults, D19_EachCommitsAnswerMayBeLost) {
  for (int n = 1; n <= 4; ++n) {
    const std::unique_ptr<ResidentWorld> world = Prepared();
    world->store.LoseCommitAnswer(n);
    IgnoreError(GetParam().run(*world), "what is left behind is judged");
    ExpectNothingLeftBehind(*world);
  }
}

TEST_P(ResidentFaults, H25_EachCallOfTheTokenMayFailOrLoseItsAnswer) {
  for (int n = 1; n <= 4; ++n) {
    for (const bool acts : {false, true}) {
      const std::unique_ptr<ResidentWorld> world = Prepared();
      const auto call = static_cast<std::uint64_t>(n);
      if (acts) {
        world->first.FailCallAfterActing(call, Unavailable("lost"));
      } else {
        world->first.FailCall(call, Unavailable("planned"));
      }
      IgnoreError(GetParam().run(*world), "what is left behind is judged");
      ExpectNothingLeftBehind(*world);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, ResidentFaults, ::testing::ValuesIn(Operations()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(ResidentSweep, SparesWhatIsBeingMade) {
  ResidentWorld world;
  // Made, and the process died before the key was stored.
  const KeyPolicy policy{.name = "app", .incarnation = Uuid::Random()};
  ASSERT_THAT(MakeResidentVersion(world.environment(), policy, 1, {"first"}), IsOk());
  EXPECT_EQ(world.Objects(), 1U);
  EXPECT_THAT(SweepResidentKeys(world.environment()), IsOk());
  EXPECT_EQ(world.Objects(), 1U);
  world.clock.Advance(std::chrono::minutes(16));
  EXPECT_THAT(SweepResidentKeys(world.environment()), IsOk());
  EXPECT_EQ(world.Objects(), 0U);
  EXPECT_THAT(world.Stored(""), IsEmpty());
}

TEST(ResidentSweep, ARepeatedRotationAdoptsWhatAnInterruptedOneMade) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(KeyType::kEcdsaP256));
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentDraft lost,
                           MakeResidentVersion(world.environment(), key->policy(), 2, {"first"}));
  world.Restart();
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));
  EXPECT_EQ(rotated->versions().back().public_key, lost.version.public_key);
  EXPECT_EQ(world.Objects(), 2U);
}

TEST(ResidentSweep, D9_DamageOfTheStoreDestroysNoKey) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  for (const std::string& path : world.Stored("archive/")) {
    world.store.TamperDelete(world.Prefix() + path);
  }
  world.store.TamperDelete(world.Prefix() + "keys/app");
  world.SweepLate();
  EXPECT_EQ(world.Objects(), 2U) << "a backup may bring the entries back";
}

}  // namespace
}  // namespace kms
