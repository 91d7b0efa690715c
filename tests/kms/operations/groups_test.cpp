// SPDX-License-Identifier: Apache-2.0
// Environments that several tokens open: who is asked, who is left out, who is healed.
#include <map>

#include "tests/kms/operations/group_world.h"

namespace kms {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::EnvName;
using testing::GroupWorld;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;
using testing::To;
using namespace std::chrono_literals;

class GroupsTest : public ::testing::Test {
 protected:
  GroupWorld world_;
};

// ---- opening ------------------------------------------------------------------------------------

TEST_F(GroupsTest, AnyMemberOpensTheEnvironmentAlone) {
  world_.ExpectOpensAlone("a");
  world_.ExpectOpensAlone("b");
}

TEST_F(GroupsTest, WithoutAnyMemberItStartsSealedAndSaysWhatIsWrongWithEach) {
  world_.OnlyPresent({"c"});
  world_.Start();
  ASSERT_TRUE(world_.Sealed());
  EXPECT_THAT(world_.StatusOf("prod").reason, AllOf(HasSubstr("HSM a:"), HasSubstr("HSM b:")));
  EXPECT_FALSE(world_.StatusOf("sys").sealed);

  world_.OnlyPresent({"b"});
  world_.RoundsFor(5s);
  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.MemberOf("b").state, MemberState::kReady);
  EXPECT_EQ(world_.Events("lease-unseal"), 1);
}

TEST_F(GroupsTest, AStartAsksOneTokenOncePerEnvironment) {
  const std::uint64_t a = world_.Token("a").calls();
  const std::uint64_t b = world_.Token("b").calls();
  world_.Start();
  EXPECT_EQ(world_.Token("a").calls() + world_.Token("b").calls(), a + b + 1);
}

TEST_F(GroupsTest, LowerOrdersAreAskedFirstAndWeightsShareTheRest) {
  world_.OnlyPresent({"a", "b", "c"});
  ASSERT_THAT(world_.Join("a", 5), IsOk());
  ASSERT_THAT(world_.Join("b", 1, 10), IsOk());
  ASSERT_THAT(world_.Join("c", 1, 90), IsOk());
  std::map<std::string, int> first;
  for (int round = 0; round < 1000; ++round) {
    const std::vector<std::string> order = world_.environments().MembersOf("prod");
    ASSERT_THAT(order, SizeIs(3));
    EXPECT_EQ(order[2], "a");
    ++first[order[0]];
  }
  EXPECT_GT(first["c"], 800);
  EXPECT_GT(first["b"], 30);
}

TEST_F(GroupsTest, OneThatDoesNotAnswerIsAskedLast) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(10s);
  EXPECT_THAT(world_.environments().MembersOf("prod"), ElementsAre("b", "a"));
}

// ---- leases -------------------------------------------------------------------------------------

TEST_F(GroupsTest, H3_OneMemberThatProvesItIsEnough) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(10min);

  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.StatusOf("prod").lease_age_ms, 0);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kAway);
  EXPECT_EQ(world_.MemberOf("a").proof_age_ms, 600'000);
  world_.OnlyPresent({"a", "b"});
  world_.RoundsFor(10s);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kReady);
  EXPECT_EQ(world_.MemberOf("a").reason, "");
}

TEST_F(GroupsTest, H3_WhenNoneProvesItTheSealIsMeasuredRecordedAndTold) {
  world_.OnlyPresent({});
  world_.RoundsFor(65s);

  ASSERT_TRUE(world_.Sealed());
  EXPECT_EQ(world_.Events("lease-seal"), 1);
  ASSERT_THAT(world_.alarms, SizeIs(1));
  EXPECT_THAT(world_.alarms[0], AllOf(HasSubstr("sealed 65000 ms after the last proof"),
                                      HasSubstr("5000 ms after the end of its grace")));
  const auto last = world_.StatusOf("prod").last_seal;
  ASSERT_TRUE(last);
  EXPECT_EQ(last->unproven_ms, 65'000);
  EXPECT_EQ(last->late_ms, 5'000);
}

TEST_F(GroupsTest, EachEnvironmentHasItsOwnLease) {
  EnvironmentSettings settings;
  settings.options = {{"lease_interval", "1s"}, {"lease_grace", "10s"}};
  ASSERT_THAT(world_.environments().Tune(EnvName("prod"), To(settings)), IsOk());
  EXPECT_EQ(world_.environments().ShortestLeaseInterval(), 1s);
  EXPECT_EQ(world_.StatusOf("prod").lease_grace_ms, 10'000);
  world_.OnlyPresent({});
  world_.device.SetPresent(false);
  world_.RoundsFor(15s);
  EXPECT_TRUE(world_.Sealed());
  EXPECT_FALSE(world_.StatusOf("sys").sealed);
}

TEST_F(GroupsTest, RoundsForAnotherEnvironmentSpareTheHsmCalls) {
  world_.ProveLeases();
  const std::uint64_t calls = world_.Token("a").calls();
  for (int round = 0; round < 4; ++round) {
    world_.clock.Advance(1s);
    world_.ProveLeases();
  }
  EXPECT_EQ(world_.Token("a").calls(), calls);
  world_.clock.Advance(1s);
  world_.ProveLeases();
  EXPECT_EQ(world_.Token("a").calls(), calls + 1);
}

TEST_F(GroupsTest, AGraceWithoutEndKeepsItOpen) {
  EnvironmentSettings settings;
  settings.options = {{"lease_grace", "forever"}};
  ASSERT_THAT(world_.environments().Tune(EnvName("prod"), To(settings)), IsOk());
  world_.OnlyPresent({});
  world_.RoundsFor(1h);
  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.StatusOf("prod").lease_grace_ms, std::nullopt);
  EXPECT_EQ(world_.StatusOf("prod").lease_age_ms, 3'600'000);
}

TEST_F(GroupsTest, ASealIsNotPutOffByAnAuditLogThatFails) {
  world_.audit.RefuseAppends();
  world_.OnlyPresent({});
  world_.RoundsFor(65s);
  EXPECT_TRUE(world_.Sealed());
  EXPECT_THAT(world_.alarms[0], HasSubstr("not in the audit log"));
}

// ---- members that must not be used --------------------------------------------------------------

TEST_F(GroupsTest, H11_AMemberThatLostItsMasterKeyIsLeftOutAndGetsNoOther) {
  world_.Token("a").RemoveMasterKey(world_.MasterOf(*world_.environments().Find("prod"), "a").id);
  world_.RoundsFor(10min);

  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
  EXPECT_THAT(world_.MemberOf("a").reason, HasSubstr("never made again"));
  EXPECT_THAT(world_.Token("a").master_key_ids(), IsEmpty());
  EXPECT_EQ(world_.Events("hsm-refused"), 1) << "told once, not every round";
  EXPECT_THAT(world_.alarms, SizeIs(1));
}

TEST_F(GroupsTest, H13_AMemberWithAnotherMasterKeyWrapsAndOpensNothing) {
  ASSERT_THAT(world_.Join("a", 0), IsOk());
  ASSERT_THAT(world_.Join("b", 1), IsOk());
  world_.Token("a").ReplaceMasterKey(world_.MasterOf(*world_.environments().Find("prod"), "a").id);
  world_.RoundsFor(5s);

  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
  EXPECT_THAT(world_.environments().MembersOf("prod"), ElementsAre("b", "a"));
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk());
  world_.RoundsFor(5min);
  EXPECT_EQ(world_.Stored().Find("a")->FindWrap(2), nullptr);
  EXPECT_FALSE(world_.Sealed());
  world_.Start();
  EXPECT_FALSE(world_.Sealed()) << "b opens it although a is asked first";
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
}

TEST_F(GroupsTest, H13_NothingIsWrappedUnderAMasterKeyThatChangedWhileItWasAway) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(5s);
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk());
  world_.Token("a").ReplaceMasterKey(world_.MasterOf(*world_.environments().Find("prod"), "a").id);
  world_.OnlyPresent({"a", "b"});
  world_.RoundsFor(1min);

  EXPECT_EQ(world_.Stored().Find("a")->FindWrap(2), nullptr);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
  EXPECT_THAT(world_.alarms, SizeIs(1)) << "told once";
}

TEST_F(GroupsTest, H14_ATokenRestoredFromBeforeARotationIsLeftOutAndNothingIsReCreated) {
  for (const char* hsm : {"a", "b"}) {
    ASSERT_THAT(world_.environments().MakeMasterKey("prod", hsm, 2), IsOk());
  }
  ASSERT_THAT(world_.environments().SwitchMasterKey("prod", 2), IsOk());
  const auto prod = world_.environments().Find("prod");
  world_.Token("a").RemoveMasterKey(world_.MasterOf(*prod, "a", 2).id);
  world_.RoundsFor(5min);

  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
  EXPECT_THAT(world_.MemberOf("a").master_versions, ElementsAre(1U, 2U));
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(1));
  EXPECT_FALSE(world_.Sealed());
}

TEST_F(GroupsTest, H15_OfTwoThatDisagreeTheOneWithTheRecordedKeyOpensASealedEnvironment) {
  ASSERT_THAT(world_.Join("a", 0), IsOk());
  ASSERT_THAT(world_.Join("b", 1), IsOk());
  world_.Liar("a").lies = true;
  world_.Start();

  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
  EXPECT_THAT(world_.MemberOf("a").reason, HasSubstr("another value"));
  EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
}

TEST_F(GroupsTest, H26_AProofThatIsWrongInItsValueCountsAsAbsent) {
  world_.Liar("a").lies = true;
  world_.RoundsFor(10min);
  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);

  world_.Liar("b").lies = true;
  world_.RoundsFor(65s);
  EXPECT_TRUE(world_.Sealed());
  world_.Start();
  EXPECT_TRUE(world_.Sealed()) << "wrong bytes open nothing after a restart either";
  world_.Liar("b").lies = false;
  world_.RoundsFor(5s);
  EXPECT_FALSE(world_.Sealed());
}

TEST_F(GroupsTest, H10_ALockedTokenLeavesTheEnvironmentToTheOthers) {
  world_.Token("a").SetState(DeviceState::kLockedOut, "the PIN was refused");
  world_.RoundsFor(10min);
  EXPECT_FALSE(world_.Sealed());
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
  world_.Token("a").SetPresent(true);
  world_.RoundsFor(5s);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kReady) << "the operator mended it";
}

TEST_F(GroupsTest, D10_ADamagedWrapOfOneTokenSealsNothing) {
  const Uuid id = world_.environments().Find("prod")->identity().id;
  world_.store.Tamper(WrappedPath(id, 1, "a", 1), Bytes{1, 2, 3});
  world_.store.Tamper(MasterPath(id, "a", 1), Bytes{1, 2, 3});
  world_.Start();
  world_.RoundsFor(5min);
  EXPECT_FALSE(world_.Sealed());
  EXPECT_THAT(world_.MemberOf("a").reason, HasSubstr("damaged"));
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(1)) << "no second one is made";
}

// ---- healing ------------------------------------------------------------------------------------

TEST_F(GroupsTest, ATokenThatWasAwayGetsTheWrapsItLacks) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(5s);
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk());
  EXPECT_EQ(world_.MemberOf("a").missing_wraps, 1U);
  EXPECT_EQ(world_.StatusOf("prod").environment_key_version, 2U);

  world_.OnlyPresent({"a", "b"});
  world_.RoundsFor(10s);
  EXPECT_EQ(world_.MemberOf("a").missing_wraps, 0U);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kReady);
  EXPECT_EQ(world_.Events("hsm-heal"), 1);
  world_.ExpectOpensAlone("a");
  world_.ExpectOpensAlone("b");
}

TEST_F(GroupsTest, ATokenThatWasAwayDuringARotationGetsTheNewMasterKey) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(5s);
  ASSERT_THAT(world_.environments().MakeMasterKey("prod", "b", 2), IsOk());
  ASSERT_THAT(world_.environments().SwitchMasterKey("prod", 2), IsOk());

  world_.OnlyPresent({"a", "b"});
  world_.RoundsFor(10s);
  EXPECT_THAT(world_.MemberOf("a").master_versions, ElementsAre(1U, 2U));
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(2));
  EXPECT_EQ(world_.MemberOf("a").master_key_label, "kms/prod/2");
  world_.ExpectOpensAlone("a");
}

TEST_F(GroupsTest, H20_AWrapThatDoesNotOpenIsNotGivenToAHealedMember) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(5s);
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk());
  world_.OnlyPresent({"a", "b"});
  world_.Token("a").CorruptNextWrap();
  world_.RoundsFor(5s);
  EXPECT_EQ(world_.Stored().Find("a")->FindWrap(2), nullptr);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kHealing);
  EXPECT_THAT(world_.MemberOf("a").reason, HasSubstr("does not open"));

  world_.RoundsFor(5s);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kReady);
  world_.ExpectOpensAlone("a");
}

TEST_F(GroupsTest, HealingIsBoundedPerRound) {
  world_.OnlyPresent({"b"});
  world_.RoundsFor(5s);
  for (EnvironmentKeyVersion version = 2; version <= 41; ++version) {
    ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", version), IsOk());
  }
  world_.OnlyPresent({"a", "b"});
  world_.RoundsFor(5s);
  EXPECT_EQ(world_.MemberOf("a").missing_wraps, 24U);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kHealing);
  EXPECT_NE(world_.Stored().Find("a")->FindWrap(41), nullptr) << "the latest comes first";
  world_.RoundsFor(10s);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kReady);
}

// ---- earlier releases ---------------------------------------------------------------------------

TEST(GroupsOfEarlierReleases, AreOpenedMovedAndKeptOpen) {
  testing::World world;
  world.Start();
  world.Make("prod");
  ASSERT_THAT(world.MakeKey("prod", "app"), IsOk());
  for (const auto& environment : {world.environments().sys(), world.environments().Find("prod")}) {
    const Uuid id = environment->identity().id;
    const auto contents = world.store.Contents();
    world.store.Tamper("master/" + id.ToString(),
                       contents.at(MasterPath(id, kDefaultHsm, 1)).value);
    world.store.Tamper("wrapped/" + id.ToString() + "/0000000001",
                       contents.at(WrappedPath(id, 1, kDefaultHsm, 1)).value);
    world.store.TamperDelete(MasterPath(id, kDefaultHsm, 1));
    world.store.TamperDelete(WrappedPath(id, 1, kDefaultHsm, 1));
    world.store.TamperDelete(GroupPath(id));
  }
  world.Start();
  EXPECT_FALSE(world.StatusOf("prod").sealed);
  EXPECT_THAT(world.FindKey("prod", "app"), IsOk());
  world.ProveLeases();
  EXPECT_THAT(world.environments().ReadKeys("prod").value().group.key_checks, SizeIs(1))
      << "the key can be recognised from now on";
  world.Start();
  EXPECT_FALSE(world.StatusOf("prod").sealed);
  EXPECT_THAT(world.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(world.device.master_key_ids(), SizeIs(1));
}

}  // namespace
}  // namespace kms
