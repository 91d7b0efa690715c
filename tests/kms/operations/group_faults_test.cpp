// SPDX-License-Identifier: Apache-2.0
// Work on the keys of a group with each store and HSM call failing in turn, with answers lost, and
// with members coming and going at random: no key is lost while one member holds it.
#include <functional>
#include <memory>
#include <random>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/group_world.h"

namespace kms {
namespace {

using testing::FailEachCall;
using testing::GroupWorld;
using testing::IsOk;
using ::testing::SizeIs;
using namespace std::chrono_literals;

struct Fault {
  std::string name;
  std::function<void(GroupWorld&, int n)> plan;
};

std::vector<Fault> Faults() {
  const auto n64 = [](int n) { return static_cast<std::uint64_t>(n); };
  return {
      {"StoreCallFails", [](GroupWorld& world, int n) { world.store.FailCall(n); }},
      {"CommitIsUncertain",
       [](GroupWorld& world, int n) { world.store.FailCommit(n, ErrorCode::kOutcomeUnknown); }},
      {"HsmCallFails",
       [n64](GroupWorld& world, int n) { world.Token("c").FailCall(n64(n), Unavailable("away")); }},
      {"HsmAnswerIsLost",
       [n64](GroupWorld& world, int n) {
         world.Token("c").FailCallAfterActing(n64(n), Unavailable("late"));
       }},
  };
}

struct Work {
  std::string name;
  std::vector<std::string> members;
  std::function<Status(GroupWorld&)> run;
  std::size_t keys_in_c;  // master keys that c holds when it is done
};

std::vector<Work> Works() {
  return {
      {"Join", {"a"}, [](GroupWorld& world) { return world.Join("c"); }, 1},
      {"AddEnvironmentKey",
       {"c"},
       [](GroupWorld& world) { return world.environments().AddEnvironmentKey("prod", 2); },
       1},
      {"MakeMasterKey",
       {"a", "c"},
       [](GroupWorld& world) { return world.environments().MakeMasterKey("prod", "c", 2); },
       2},
      {"Leave",
       {"a", "c"},
       [](GroupWorld& world) { return world.environments().LeaveHsm("prod", "c", true); },
       0},
  };
}

using Case = std::tuple<Fault, Work>;

class GroupFaults : public ::testing::TestWithParam<Case> {};

TEST_P(GroupFaults, D2_WhatWasInterruptedCanBeRepeatedAndLeavesNoOrphan) {
  const Fault& fault = std::get<Fault>(GetParam());
  const Work& work = std::get<Work>(GetParam());
  std::unique_ptr<GroupWorld> world;
  FailEachCall({.arrange =
                    [&](int n) {
                      world = std::make_unique<GroupWorld>(work.members);
                      fault.plan(*world, n);
                    },
                .run = [&] { return work.run(*world); },
                .check =
                    [&](const Status& outcome) {
                      world->store.Heal();
                      world->Token("c").ClearFaults();
                      EXPECT_FALSE(world->Sealed());
                      const Status again = outcome.has_value() ? outcome : work.run(*world);
                      const bool gone = !again.has_value() && work.name == "Leave" &&
                                        again.error().code == ErrorCode::kNotFound;
                      EXPECT_TRUE(again.has_value() || gone);
                      EXPECT_THAT(world->Token("c").master_key_ids(), SizeIs(work.keys_in_c));
                      for (const std::string& hsm : world->environments().MembersOf("prod")) {
                        world->ExpectOpensAlone(hsm);
                      }
                    }});
}

TEST_P(GroupFaults, D2_WhatWasInterruptedByACrashCanBeRepeated) {
  const Fault& fault = std::get<Fault>(GetParam());
  const Work& work = std::get<Work>(GetParam());
  std::unique_ptr<GroupWorld> world;
  FailEachCall({.arrange =
                    [&](int n) {
                      world = std::make_unique<GroupWorld>(work.members);
                      fault.plan(*world, n);
                    },
                .run = [&] { return work.run(*world); },
                .check =
                    [&](const Status& /*outcome*/) {
                      world->store.Heal();
                      world->Token("c").ClearFaults();
                      world->Start();
                      ASSERT_FALSE(world->Sealed());
                      EXPECT_THAT(world->FindKey("prod", "app"), IsOk());
                      world->RoundsFor(5s);
                      IgnoreError(work.run(*world), "it may be done");
                      EXPECT_THAT(world->Token("c").master_key_ids(), SizeIs(work.keys_in_c));
                    }});
}

INSTANTIATE_TEST_SUITE_P(Faults, GroupFaults,
                         ::testing::Combine(::testing::ValuesIn(Faults()),
                                            ::testing::ValuesIn(Works())),
                         [](const auto& parameter) {
                           return std::get<0>(parameter.param).name +
                                  std::get<1>(parameter.param).name;
                         });

// Three tokens of which one at a time is sound; the others do what they like.
class RandomGroup : public ::testing::TestWithParam<unsigned> {
 protected:
  std::string Any() { return std::string(1, "abc"[Number(3)]); }
  unsigned Number(unsigned below) { return static_cast<unsigned>(random_()) % below; }

  void Trouble(const std::string& hsm) {
    if (hsm == anchor_) {
      return;
    }
    switch (Number(5)) {
      case 0: world_.Token(hsm).SetPresent(false); break;
      case 1: world_.Token(hsm).SetPresent(true); break;
      case 2: world_.Token(hsm).CorruptNextWrap(); break;
      case 3: world_.Liar(hsm).lies = !world_.Liar(hsm).lies; break;
      default: world_.Token(hsm).FailCall(1 + Number(4), Unavailable("trouble")); break;
    }
  }
  // Another one that is whole may be the sound one from now on.
  void MoveAnchor() {
    const std::string next = Any();
    if (world_.MemberOf(next).state == MemberState::kReady &&
        world_.MemberOf(next).missing_wraps == 0) {
      world_.Token(next).ClearFaults();
      world_.Liar(next).lies = false;
      anchor_ = next;
    }
  }
  void Act() {
    switch (Number(6)) {
      case 0: MoveAnchor(); break;
      case 1:
        if (world_.environments().AddEnvironmentKey("prod", latest_ + 1).has_value()) {
          ++latest_;
        }
        break;
      case 2:
        if (world_.MakeKey("prod", "k" + std::to_string(keys_)).has_value()) {
          ++keys_;
        }
        break;
      case 3: world_.store.FailCall(static_cast<int>(1 + Number(20))); break;
      case 4:
        world_.store.Heal();
        world_.Start();
        break;
      default: Trouble(Any());
    }
  }
  void ExpectWhole() {
    world_.store.Heal();
    EXPECT_FALSE(world_.Sealed()) << world_.StatusOf("prod").reason;
    for (int key = 0; key < keys_; ++key) {
      EXPECT_THAT(world_.FindKey("prod", "k" + std::to_string(key)), IsOk()) << key;
    }
  }

  std::mt19937 random_{GetParam()};
  GroupWorld world_{{"a", "b", "c"}};
  std::string anchor_ = "a";
  EnvironmentKeyVersion latest_ = 1;
  int keys_ = 0;
};

TEST_P(RandomGroup, LosesNoKeyAndSealsNothingWhileOneMemberIsSound) {
  for (int step = 0; step < 250; ++step) {
    Act();
    world_.RoundsFor(5s);
    ASSERT_NO_FATAL_FAILURE(ExpectWhole()) << "step " << step;
    if (HasFailure()) {
      FAIL() << "seed " << GetParam() << ", step " << step << ", sound: " << anchor_;
    }
    latest_ = std::max(latest_, world_.StatusOf("prod").environment_key_version);
  }
  for (const char* hsm : {"a", "b", "c"}) {
    world_.Token(hsm).ClearFaults();
    world_.Liar(hsm).lies = false;
  }
  world_.RoundsFor(1min);
  for (const char* hsm : {"a", "b", "c"}) {
    EXPECT_EQ(world_.MemberOf(hsm).state, MemberState::kReady) << world_.MemberOf(hsm).reason;
    EXPECT_THAT(world_.Token(hsm).master_key_ids(), SizeIs(1));
  }
  for (const char* hsm : {"a", "b", "c"}) {
    world_.ExpectOpensAlone(hsm);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGroup, ::testing::Values(1U, 2U, 3U, 4U));

}  // namespace
}  // namespace kms
