// SPDX-License-Identifier: Apache-2.0
// Tokens join and leave groups; new versions of keys are made; environments come and go with them.
#include <thread>

#include "kms/operations/resident_keys.h"
#include "kms/operations/wrapping_key.h"
#include "kms/operations/wrapping_key_device.h"
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
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class GroupMembersTest : public ::testing::Test {
 protected:
  GroupWorld world_;
};

// ---- joining and leaving ------------------------------------------------------------------------

TEST_F(GroupMembersTest, ATokenThatJoinsOpensEverything) {
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk());
  ASSERT_THAT(world_.Join("c", 3, 7), IsOk());

  EXPECT_EQ(world_.MemberOf("c").state, MemberState::kReady);
  EXPECT_EQ(world_.MemberOf("c").order, 3U);
  EXPECT_EQ(world_.MemberOf("c").weight, 7U);
  EXPECT_EQ(world_.Events("hsm-join"), 1);
  world_.ExpectOpensAlone("c");
  ASSERT_THAT(world_.Join("c", 1, 2), IsOk());
  EXPECT_EQ(world_.MemberOf("c").order, 1U);
  EXPECT_THAT(world_.Token("c").master_key_ids(), SizeIs(1));
}

TEST_F(GroupMembersTest, ExternalKeysAreLookedForInMembersAlone) {
  const auto keys = world_.environments().Find("prod")->resident_keys();
  EXPECT_THAT(keys->Find("c", "app"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("it is served by a, b;")));
  ASSERT_THAT(world_.Join("c"), IsOk());
  EXPECT_THAT(keys->Find("c", "app"), Not(HasError(ErrorCode::kFailedPrecondition)));
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "a", false), IsOk());
  EXPECT_THAT(keys->Find("a", "app"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("it is served by b, c;")));
  world_.Start();
  EXPECT_THAT(world_.environments().Find("prod")->resident_keys()->Find("a", "app"),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(GroupMembersTest, JoiningIsRefusedWhereItCannotWork) {
  EXPECT_THAT(world_.environments().JoinHsm("none", {.hsm = "c"}), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.Join("nobody"), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.Join("c", 0, 0), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(world_.Join("c", 0, 1001), HasError(ErrorCode::kInvalidArgument));
  ASSERT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  EXPECT_THAT(world_.Join("c"), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(world_.Token("c").master_key_ids(), IsEmpty());
}

TEST_F(GroupMembersTest, SysIsAGroupToo) {
  ASSERT_THAT(world_.environments().JoinHsm("sys", {.hsm = "c"}), IsOk());
  world_.device.SetPresent(false);
  world_.Start();
  EXPECT_FALSE(world_.environments().sys()->sealed());
}

TEST_F(GroupMembersTest, AnHsmIsReplacedWhileTheServiceRuns) {
  ASSERT_THAT(world_.Join("c"), IsOk());
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "a", true), IsOk());
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "b", false), IsOk());

  EXPECT_THAT(world_.environments().MembersOf("prod"), ElementsAre("c"));
  EXPECT_THAT(world_.Token("a").master_key_ids(), IsEmpty());
  EXPECT_THAT(world_.Token("b").master_key_ids(), SizeIs(1)) << "until it is retired";
  EXPECT_EQ(world_.Stored().Find("b")->FindWrap(1), nullptr);
  EXPECT_EQ(world_.Events("hsm-leave"), 2);
  world_.ExpectOpensAlone("c");
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "b", true), IsOk()) << "afterwards too";
  EXPECT_THAT(world_.Token("b").master_key_ids(), IsEmpty());
}

TEST_F(GroupMembersTest, TheLastThatOpensSomethingCannotLeave) {
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "a", false), IsOk());
  EXPECT_THAT(world_.environments().LeaveHsm("prod", "b", false),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("let another one join")));
  EXPECT_THAT(world_.environments().LeaveHsm("prod", "c", false), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.environments().LeaveHsm("none", "a", false), HasError(ErrorCode::kNotFound));
}

TEST_F(GroupMembersTest, OneDoesNotLeaveWhileTheOthersDoNotAnswer) {
  world_.OnlyPresent({"a"});
  world_.RoundsFor(5s);
  EXPECT_THAT(world_.environments().LeaveHsm("prod", "a", false),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("the last that opens")));
  EXPECT_THAT(world_.environments().LeaveHsm("prod", "b", false), IsOk()) << "one that is away may";
}

TEST_F(GroupMembersTest, H11_AReturningTokenWithoutItsRecordedMasterKeyDoesNotJoin) {
  const Uuid id = world_.MasterOf(*world_.environments().Find("prod"), "a").id;
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "a", false), IsOk());
  world_.Token("a").RemoveMasterKey(id);
  EXPECT_THAT(world_.Join("a"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("kmsctl hsm remove a --env prod --lost")));
  EXPECT_THAT(world_.Token("a").master_key_ids(), IsEmpty());
}

// ---- new versions -------------------------------------------------------------------------------

TEST_F(GroupMembersTest, ANewEnvironmentKeySealsNewEntriesAndOldOnesStayReadable) {
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk());
  EXPECT_THAT(world_.environments().AddEnvironmentKey("prod", 2), IsOk()) << "done already";
  EXPECT_THAT(world_.environments().AddEnvironmentKey("prod", 4),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("version 3")));
  ASSERT_THAT(world_.MakeKey("prod", "second"), IsOk());
  const auto counts = world_.environments().CountEntries("prod").value();
  EXPECT_GT(counts.at(1), 0U);
  EXPECT_GT(counts.at(2), 0U);
  EXPECT_THAT(world_.StatusOf("prod").environment_key_versions, ElementsAre(1U, 2U));
  world_.ExpectOpensAlone("a");
  EXPECT_THAT(world_.FindKey("prod", "second"), IsOk());
}

TEST_F(GroupMembersTest, NoEnvironmentKeyIsMadeThatNobodyWraps) {
  world_.OnlyPresent({});
  const auto before = world_.store.Contents().size();
  EXPECT_THAT(world_.environments().AddEnvironmentKey("prod", 2),
              HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(world_.store.Contents().size(), before);
  ASSERT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  world_.OnlyPresent({"a", "b"});
  EXPECT_THAT(world_.environments().AddEnvironmentKey("prod", 2),
              HasError(ErrorCode::kUnavailable, HasSubstr("sealed")));
}

TEST_F(GroupMembersTest, AMasterKeyVersionIsMadeOnceAndItsWrapsOpen) {
  ASSERT_THAT(world_.environments().MakeMasterKey("prod", "a", 2), IsOk());
  ASSERT_THAT(world_.environments().MakeMasterKey("prod", "a", 2), IsOk());
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(2));
  EXPECT_EQ(world_.StatusOf("prod").master_key_version, 1U);
  EXPECT_THAT(world_.environments().MakeMasterKey("prod", "c", 2), HasError(ErrorCode::kNotFound));
  ASSERT_THAT(world_.environments().SwitchMasterKey("prod", 2), IsOk());
  EXPECT_THAT(world_.environments().MakeMasterKey("prod", "a", 1),
              HasError(ErrorCode::kInvalidArgument));
  world_.ExpectOpensAlone("a");
}

// ---- creation and deletion ----------------------------------------------------------------------

TEST_F(GroupMembersTest, CreationNamesItsTokens) {
  CreateEnvironmentRequest request;
  request.hsms = {"a", "nobody"};
  EXPECT_THAT(world_.environments().Create(EnvName("dev"), request),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("nobody")));
  request.hsms = {"a", "a"};
  EXPECT_THAT(world_.environments().Create(EnvName("dev"), request),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("twice")));
  request.hsms = {};
  ASSERT_THAT(world_.environments().Create(EnvName("dev"), request), IsOk());
  EXPECT_THAT(world_.environments().MembersOf("dev"), ElementsAre("default")) << "those of sys";
}

TEST_F(GroupMembersTest, CreationGoesOnWithoutAMemberThatIsAwayAndHealsItLater) {
  world_.OnlyPresent({"c"});
  CreateEnvironmentRequest request;
  request.hsms = {"b", "c"};
  ASSERT_THAT(world_.environments().Create(EnvName("dev"), request), IsOk());
  EXPECT_THAT(world_.Token("b").master_key_ids(), SizeIs(1)) << "that of prod";
  world_.OnlyPresent({"a", "b", "c"});
  world_.RoundsFor(10s);
  EXPECT_THAT(world_.Token("b").master_key_ids(), SizeIs(2));
  world_.OnlyPresent({"b"});
  world_.Start();
  EXPECT_FALSE(world_.StatusOf("dev").sealed);
}

TEST_F(GroupMembersTest, AnInterruptedCreationOnOtherTokensLeavesNoKeyBehind) {
  CreateEnvironmentRequest request;
  request.hsms = {"c"};
  world_.Token("c").FailCallAfterActing(1, Unavailable("late"));
  ASSERT_THAT(world_.environments().Create(EnvName("dev"), request),
              HasError(ErrorCode::kUnavailable));
  ASSERT_THAT(world_.Token("c").master_key_ids(), SizeIs(1));
  request.hsms = {"b"};
  ASSERT_THAT(world_.environments().Create(EnvName("dev"), request), IsOk());
  EXPECT_THAT(world_.Token("c").master_key_ids(), IsEmpty());
}

TEST_F(GroupMembersTest, DeletionWaitsForEveryMember) {
  world_.OnlyPresent({"b"});
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")),
              HasError(ErrorCode::kUnavailable,
                       AllOf(HasSubstr("HSM a still holds keys"), HasSubstr("goes on"))));
  EXPECT_EQ(world_.environments().Find("prod"), nullptr);
  world_.OnlyPresent({"a", "b"});
  world_.clock.Advance(10s);
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(world_.Token("a").master_key_ids(), IsEmpty());
  EXPECT_THAT(world_.Token("b").master_key_ids(), IsEmpty());
}

TEST_F(GroupMembersTest, ADeletionThatWaitsGoesOnWhenTheTokenIsTakenOut) {
  world_.OnlyPresent({"b"});
  ASSERT_THAT(world_.environments().Delete(EnvName("prod")), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(world_.environments().LeaveHsm("none", "a", false), HasError(ErrorCode::kNotFound));
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "a", false), IsOk());
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(world_.Token("b").master_key_ids(), IsEmpty());
}

TEST_F(GroupMembersTest, TheWrappingKeyStaysWithItsTokenAndIsMadeAnewWhenThatLeaves) {
  const auto prod = world_.environments().Find("prod");
  ASSERT_THAT(world_.Join("a", 5), IsOk());
  ASSERT_THAT(world_.Join("b", 1), IsOk());
  const auto device = [&] { return FindWrappingKeyDevice(world_.environments(), *prod).value(); };
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes first, WrappingPublicKey(*prod, *device()));
  EXPECT_THAT(world_.Token("b").import_key_ids(), SizeIs(1));
  ASSERT_THAT(world_.Join("a", 0), IsOk());
  EXPECT_EQ(device()->name(), "b") << "whoever is asked first for other things";

  ASSERT_THAT(world_.environments().LeaveHsm("prod", "b", true), IsOk());
  EXPECT_THAT(world_.Token("b").import_key_ids(), IsEmpty());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes second, WrappingPublicKey(*prod, *device()));
  EXPECT_EQ(device()->name(), "a");
  EXPECT_THAT(world_.Token("a").import_key_ids(), SizeIs(1));
}

TEST_F(GroupMembersTest, DeletionDoesNotWaitForATokenThatLeft) {
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "a", false), IsOk());
  world_.OnlyPresent({"b"});
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(world_.audit.records().back(), HasSubstr("are left in it"));
}

// One environment's trouble stays there.
TEST_F(GroupMembersTest, H6_AHungTokenDoesNotHoldUpOtherEnvironments) {
  world_.Token("c").SetStuck(true);
  std::jthread stuck([this] {
    CreateEnvironmentRequest request;
    request.hsms = {"c"};
    IgnoreError(world_.environments().Create(EnvName("slow"), request), "it hangs");
  });
  EXPECT_THAT(world_.environments().Create(EnvName("quick"), {}), IsOk());
  EXPECT_THAT(world_.environments().Delete(EnvName("quick")), IsOk());
  world_.environments().ProveLeases("a");
  EXPECT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  EXPECT_THAT(world_.environments().Unseal("prod"), IsOk());
  world_.Token("c").SetStuck(false);
}

}  // namespace
}  // namespace kms
