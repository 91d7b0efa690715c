// SPDX-License-Identifier: Apache-2.0
// A token that lost its newest master key, because an older copy of it was put back (H14), opens
// the environment by the one before, and that one is not retired.
#include <gmock/gmock.h>

#include "tests/kms/operations/group_world.h"

namespace kms::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class OlderMasterTest : public ::testing::Test {
 protected:
  // prod is opened by "a" alone; the master key was rotated, and "a" has the first one only.
  void SetUp() override {
    ASSERT_THAT(Environments().MakeMasterKey("prod", "a", 2), IsOk());
    ASSERT_THAT(Environments().SwitchMasterKey("prod", 2), IsOk());
    newest_ = world_.MasterOf(*Environments().Find("prod"), "a", 2).id;
    world_.Token("a").RemoveMasterKey(newest_);
  }
  kms::Environments& Environments() { return world_.environments(); }
  void ExpectOpenButRefused() {
    EXPECT_FALSE(world_.Sealed()) << world_.StatusOf("prod").reason;
    EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
    EXPECT_EQ(world_.MemberOf("a").state, MemberState::kRefused);
    EXPECT_THAT(world_.MemberOf("a").reason,
                AllOf(HasSubstr("master key kms/prod/2"), HasSubstr("until then"),
                      HasSubstr("kms/prod/1"), HasSubstr("kmsctl master rotate --env prod")));
  }

  GroupWorld world_{{"a"}};
  Uuid newest_;
};

TEST_F(OlderMasterTest, H14_TheKeyBeforeProvesTheLease) {
  world_.RoundsFor(10min);
  ExpectOpenButRefused();
  EXPECT_EQ(world_.Events("lease-seal"), 0);
  EXPECT_EQ(world_.Events("hsm-refused"), 1);
  EXPECT_THAT(world_.alarms, SizeIs(1)) << "told once";
}

TEST_F(OlderMasterTest, H14_TheKeyBeforeOpensAtAStart) {
  world_.Start();
  ExpectOpenButRefused();
  EXPECT_EQ(world_.Events("hsm-refused"), 1);
  world_.RoundsFor(10min);
  ExpectOpenButRefused();
  EXPECT_EQ(world_.Events("hsm-refused"), 1) << "told once";
}

TEST_F(OlderMasterTest, H13_TheKeyBeforeOpensWhenTheNewestIsAnother) {
  world_.Token("a").ReplaceMasterKey(newest_);
  world_.RoundsFor(5s);
  ExpectOpenButRefused();
}

TEST_F(OlderMasterTest, H14_NothingIsMadeAnewAndNothingIsWrapped) {
  world_.RoundsFor(10min);
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(1));
  EXPECT_FALSE(Environments().AddEnvironmentKey("prod", 2).has_value());
}

TEST_F(OlderMasterTest, H14_TheKeyBeforeIsNotRetired) {
  EXPECT_THAT(Environments().RetireMasterKey("prod", "a", 1),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("by no newer master key now")));
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(1));
  world_.Start();
  ExpectOpenButRefused();
}

TEST_F(OlderMasterTest, H14_AnotherRotationMendsIt) {
  world_.RoundsFor(5s);
  ASSERT_THAT(Environments().MakeMasterKey("prod", "a", 3), IsOk());
  ASSERT_THAT(Environments().SwitchMasterKey("prod", 3), IsOk());
  world_.RoundsFor(10s);
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kReady);
  EXPECT_EQ(world_.MemberOf("a").reason, "");
  EXPECT_THAT(Environments().RetireMasterKey("prod", "a", 1), IsOk());
  world_.Start();
  EXPECT_FALSE(world_.Sealed());
}

TEST_F(OlderMasterTest, H14_ATokenThatIsAwayProvesNothingByAnOlderKey) {
  world_.OnlyPresent({});
  world_.RoundsFor(65s);
  EXPECT_TRUE(world_.Sealed());
  EXPECT_EQ(world_.MemberOf("a").state, MemberState::kAway);
  world_.OnlyPresent({"a"});
  world_.RoundsFor(5s);
  ExpectOpenButRefused();
}

}  // namespace
}  // namespace kms::testing
