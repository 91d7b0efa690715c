// SPDX-License-Identifier: Apache-2.0
// Tokens that will never come back: nothing waits for them, nothing of them is forgotten, and
// another one may bear their name.
#include "kms/operations/lost_hsm.h"

#include "kms/master/epoch_counter.h"
#include "kms/operations/configure_key.h"
#include "kms/operations/delete_key.h"
#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/group_world.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::EnvName;
using testing::FailEachCall;
using testing::FakeToken;
using testing::FromHex;
using testing::GroupWorld;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::LyingToken;
using ::testing::SizeIs;
using namespace std::chrono_literals;

const LossDeclaration kFire{.declared_by = "root", .reason = "fire in site B"};

LostHsm Sample() {
  const Uuid id = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
  return {.id = id,
          .hsm = "b",
          .declaration = kFire,
          .declared_unix_seconds = 1'700'000'000,
          .resident_keys = 2,
          .master_keys = {{.version = 3,
                           .token_label = "t",
                           .token_serial = "9",
                           .id = id,
                           .label = "kms/prod/3",
                           .made_unix_seconds = 1'600'000'000}}};
}

constexpr const char* kSampleHex =
    "4c01"
    "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
    "00000001"
    "62"
    "00000004"
    "726f6f74"
    "0000000e"
    "6669726520696e20736974652042"
    "000000006553f100"
    "0000000000000002"
    "00000001"
    "00000003"
    "00000001"
    "74"
    "00000001"
    "39"
    "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
    "0000000a"
    "6b6d732f70726f642f33"
    "000000005f5e1000";

TEST(LostHsmRecord, IsTheFrozenFormat1) {
  EXPECT_EQ(Sample().Encode(), FromHex(kSampleHex));
  KMS_ASSERT_OK_AND_ASSIGN(const LostHsm decoded, LostHsm::Decode(FromHex(kSampleHex)));
  EXPECT_EQ(decoded, Sample());
}

TEST(LostHsmRecord, D24_RefusesWhatItDidNotWrite) {
  const Bytes good = Sample().Encode();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(LostHsm::Decode(ByteView{good}.first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(LostHsm::Decode(longer), HasError(ErrorCode::kCorrupted));
  Bytes newer = good;
  newer[1] = 9;
  EXPECT_THAT(LostHsm::Decode(newer), HasError(ErrorCode::kCorrupted, HasSubstr("format 9")));
}

class LostHsmTest : public ::testing::Test {
 protected:
  Status Lose(const std::string& hsm, std::string_view environment = "prod") {
    return world_.environments().LoseHsm(environment, hsm, kFire);
  }
  std::vector<LostHsm> Lost() { return world_.environments().LostHsms("prod").value(); }
  // `hsm` does not answer any more, and everybody knows.
  void PullOut(const std::string& hsm) {
    world_.Token(hsm).SetPresent(false);
    world_.RoundsFor(5s);
  }
  // Another token answers to the name, after a restart.
  void PutInAnother(const std::string& hsm, std::shared_ptr<FakeToken> token) {
    token->label = hsm;
    world_.more[hsm] = std::make_unique<LyingToken>(std::move(token), &world_.clock);
    world_.Start();
  }
  Uuid prod_id() { return world_.environments().Find("prod")->identity().id; }

  GroupWorld world_;
};

TEST_F(LostHsmTest, ALostTokenIsForgottenAndItsMasterKeysAreRemembered) {
  const MasterKeyRecord master = world_.MasterOf(*world_.environments().Find("prod"), "b");
  PullOut("b");
  ASSERT_THAT(Lose("b"), IsOk());

  EXPECT_THAT(world_.environments().MembersOf("prod"), ElementsAre("a"));
  EXPECT_EQ(world_.Stored().Find("b"), nullptr);
  ASSERT_THAT(Lost(), SizeIs(1));
  const LostHsm lost = Lost().front();
  EXPECT_EQ(lost.hsm, "b");
  EXPECT_EQ(lost.declaration.declared_by, "root");
  EXPECT_EQ(lost.declaration.reason, "fire in site B");
  EXPECT_EQ(lost.declared_unix_seconds, ToUnixSeconds(world_.clock.Now()));
  ASSERT_THAT(lost.master_keys, SizeIs(1));
  EXPECT_EQ(lost.master_keys.front().id, master.id);
  EXPECT_EQ(lost.master_keys.front().token_serial, master.token_serial);
  EXPECT_EQ(world_.Events("hsm-lost"), 1);
  ASSERT_FALSE(world_.alarms.empty());
  EXPECT_THAT(world_.alarms.back(),
              AllOf(HasSubstr("declared lost by root"), HasSubstr("1 master keys stay in it")));
  world_.ExpectOpensAlone("a");
}

TEST_F(LostHsmTest, ATokenThatLeftBeforeIsLostToo) {
  PullOut("b");
  ASSERT_THAT(world_.environments().LeaveHsm("prod", "b", false), IsOk());
  ASSERT_NE(world_.Stored().Find("b"), nullptr);
  ASSERT_THAT(Lose("b"), IsOk());
  EXPECT_EQ(world_.Stored().Find("b"), nullptr);
  EXPECT_THAT(Lost().front().master_keys, SizeIs(1));
  EXPECT_THAT(Lose("b"), HasError(ErrorCode::kNotFound, HasSubstr("holds nothing"))) << "done";
  EXPECT_THAT(Lost(), SizeIs(1));
}

TEST_F(LostHsmTest, WhatTheConfigurationNamesNoMoreIsLostToo) {
  PullOut("b");
  ASSERT_THAT(world_.hsms().Remove("b"), IsOk());
  EXPECT_THAT(Lose("b"), IsOk());
}

TEST_F(LostHsmTest, TheLastThatOpensSomethingIsNotLost) {
  PullOut("b");
  EXPECT_THAT(Lose("a"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("the last that opens")));
  ASSERT_THAT(Lose("b"), IsOk());
  EXPECT_THAT(Lose("a"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("the last that opens")));
  EXPECT_THAT(world_.environments().MembersOf("prod"), ElementsAre("a"));
}

TEST_F(LostHsmTest, OneThatAnswersAndHasItsKeysIsNotLost) {
  EXPECT_THAT(Lose("b"), HasError(ErrorCode::kFailedPrecondition,
                                  AllOf(HasSubstr("it is not lost"), HasSubstr("--destroy"))));
  EXPECT_THAT(Lost(), IsEmpty());
  EXPECT_EQ(world_.MemberOf("b").state, MemberState::kReady);
}

TEST_F(LostHsmTest, NothingIsDeclaredOfWhatIsNotThere) {
  EXPECT_THAT(Lose("c"), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(Lose("b", "none"), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.environments().LostHsms("none"), HasError(ErrorCode::kNotFound));
  PullOut("b");
  ASSERT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  EXPECT_THAT(Lose("b"), HasError(ErrorCode::kFailedPrecondition,
                                  AllOf(HasSubstr("environment prod is sealed"),
                                        HasSubstr("deploy/recovery.md"))));
}

TEST_F(LostHsmTest, SysLosesATokenToo) {
  ASSERT_THAT(world_.environments().JoinHsm("sys", {.hsm = "c"}), IsOk());
  world_.Token("c").SetPresent(false);
  world_.RoundsFor(5s);
  ASSERT_THAT(Lose("c", "sys"), IsOk());
  EXPECT_THAT(world_.environments().LostHsms("sys").value(), SizeIs(1));
  world_.Start();
  EXPECT_FALSE(world_.environments().sys()->sealed());
}

TEST_F(LostHsmTest, TheEpochOfALostTokenIsForgotten) {
  SealedStore& sys = world_.environments().sys()->store();
  std::vector<SealedMutation> epoch;
  epoch.push_back({.path = EpochPath("b"),
                   .value = SecretBytes::CopyOf(Bytes{1}).value(),
                   .expected_revision = std::nullopt});
  ASSERT_THAT(sys.Commit(std::move(epoch)), IsOk());
  PullOut("b");
  ASSERT_THAT(Lose("b"), IsOk());
  EXPECT_EQ(sys.Get(EpochPath("b")).value(), std::nullopt);
}

// ---- another token under the same name ----------------------------------------------------------

TEST_F(LostHsmTest, ATokenThatWasInitialisedAnewJoinsUnderItsNameOnceTheOldOneIsLost) {
  PutInAnother("b", std::make_shared<FakeToken>());
  world_.RoundsFor(5s);
  EXPECT_EQ(world_.MemberOf("b").state, MemberState::kRefused);
  EXPECT_THAT(world_.MemberOf("b").reason, HasSubstr("--lost"));
  EXPECT_THAT(world_.Token("b").master_key_ids(), IsEmpty()) << "never made again by itself";

  ASSERT_THAT(Lose("b"), IsOk());
  ASSERT_THAT(world_.Join("b"), IsOk());
  EXPECT_EQ(world_.MemberOf("b").state, MemberState::kReady);
  EXPECT_THAT(Lost().front().master_keys, SizeIs(1));
  world_.ExpectOpensAlone("b");
}

// Whoever has the lost token has its key: nothing new may be wrapped under it.
TEST_F(LostHsmTest, ALostTokenThatTurnsUpGetsAMasterKeyOfItsOwn) {
  const Uuid old = world_.MasterOf(*world_.environments().Find("prod"), "b").id;
  PullOut("b");
  ASSERT_THAT(Lose("b"), IsOk());
  world_.Token("b").SetPresent(true);
  world_.clock.Advance(10s);
  ASSERT_THAT(world_.Join("b"), IsOk());
  EXPECT_NE(world_.MasterOf(*world_.environments().Find("prod"), "b").id, old);
  EXPECT_THAT(world_.Token("b").master_key_ids(), SizeIs(2));
  world_.ExpectOpensAlone("b");
}

TEST_F(LostHsmTest, ANameMayBeLostTwice) {
  for (int times = 1; times <= 2; ++times) {
    PutInAnother("b", std::make_shared<FakeToken>());
    world_.RoundsFor(5s);
    ASSERT_THAT(Lose("b"), IsOk()) << times;
    ASSERT_THAT(world_.Join("b"), IsOk()) << times;
  }
  ASSERT_THAT(Lost(), SizeIs(2));
  EXPECT_NE(Lost().front().master_keys.front().id, Lost().back().master_keys.front().id);
  world_.ExpectOpensAlone("b");
}

// ---- statements, deletion, faults ---------------------------------------------------------------

TEST_F(LostHsmTest, WhatAStatementTellsOfIsSettled) {
  ASSERT_THAT(world_.environments().MakeMasterKey("prod", "b", 2), IsOk());
  PullOut("b");
  ASSERT_THAT(Lose("b"), IsOk());
  ASSERT_THAT(Lost().front().master_keys, SizeIs(2));
  ASSERT_THAT(world_.environments().SettleLostKeys("prod", 1), IsOk());
  ASSERT_THAT(world_.environments().SettleLostKeys("prod", 1), IsOk()) << "again";
  ASSERT_THAT(Lost().front().master_keys, SizeIs(1));
  EXPECT_EQ(Lost().front().master_keys.front().version, 2U);
}

TEST_F(LostHsmTest, ADeletionThatWaitsForALostTokenGoesOn) {
  PullOut("b");
  ASSERT_THAT(world_.environments().Delete(EnvName("prod")),
              HasError(ErrorCode::kUnavailable, HasSubstr("--lost")));
  ASSERT_THAT(Lose("b"), IsOk());
  EXPECT_EQ(world_.Events("hsm-lost"), 1);
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
}

TEST_F(LostHsmTest, DeletionTakesTheRecordsAlong) {
  PullOut("b");
  ASSERT_THAT(Lose("b"), IsOk());
  const Uuid id = prod_id();
  ASSERT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(ReadLostHsms(world_.environments().sys()->store(), id).value(), IsEmpty());
}

TEST_F(LostHsmTest, KeysThatLiveInItAreDeletedFirst) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const CreateKeyOutcome made,
      CreateKey(*world_.environments().Find("prod"), KeyName::Parse("hard").value(),
                {.protection = KeyProtection::kHsm, .hsms = {"b"}}));
  PullOut("b");
  EXPECT_THAT(Lose("b"), HasError(ErrorCode::kFailedPrecondition, HasSubstr("hard")));
  KeyConfigChange allow;
  allow.deletion_allowed = true;
  ASSERT_THAT(
      ConfigureKey(*world_.environments().Find("prod"), KeyName::Parse("hard").value(), allow),
      IsOk());
  IgnoreError(DeleteKey(*world_.environments().Find("prod"), KeyName::Parse("hard").value()),
              "its object cannot be destroyed");
  ASSERT_THAT(Lose("b"), IsOk());
  EXPECT_EQ(Lost().front().resident_keys, 1U);
  EXPECT_THAT(world_.environments().Find("prod")->store().List("resident/", {}, 9).value(),
              IsEmpty());
}

TEST(LostHsmFaults, D2_ALossIsDeclaredOnceHoweverOftenItIsInterrupted) {
  for (const bool unknown : {false, true}) {
    std::unique_ptr<GroupWorld> world;
    const auto lose = [&] { return world->environments().LoseHsm("prod", "b", kFire); };
    FailEachCall({.arrange =
                      [&](int n) {
                        world = std::make_unique<GroupWorld>();
                        world->Token("b").SetPresent(false);
                        world->RoundsFor(5s);
                        if (unknown) {
                          world->store.FailCommit(n, ErrorCode::kOutcomeUnknown);
                        } else {
                          world->store.FailCall(n);
                        }
                      },
                  .run = lose,
                  .check =
                      [&](const Status& outcome) {
                        world->store.Heal();
                        const Status again = outcome.has_value() ? outcome : lose();
                        EXPECT_TRUE(again.has_value() ||
                                    again.error().code == ErrorCode::kNotFound);
                        EXPECT_THAT(world->environments().LostHsms("prod").value(), SizeIs(1));
                        EXPECT_EQ(world->Stored().Find("b"), nullptr);
                        world->OnlyPresent({"a", "b", "c"});
                        world->clock.Advance(10s);
                        EXPECT_THAT(world->Join("b"), IsOk());
                        world->ExpectOpensAlone("a");
                      }});
  }
}

}  // namespace
}  // namespace kms
