// SPDX-License-Identifier: Apache-2.0
// Recovered keys under new tokens: all or nothing, repeatable after every failure.
#include "kms/recovery/rebind.h"

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "kms/master/guarded_device.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/kms/recovery/recovery_world.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::kms::testing::FakeMasterKeyDevice;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::kProd;
using ::kms::testing::RecoveryWorld;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kTimeout{10000};

class RebindTest : public ::testing::Test, public RecoveryWorld {
 protected:
  RebindTest() {
    AddKey(kProd, "prod", 1, Recipients(1, {"alice"}));
    AddKey(kProd, "prod", 2, Recipients(1, {"alice"}));
    for (const char* name : {"default", "second"}) {
      devices.push_back(std::make_unique<FakeMasterKeyDevice>());
      HsmParts parts;
      parts.master_keys = devices.back().get();
      BreakerOptions options;
      options.failures_to_open = 1'000'000;
      EXPECT_THAT(hsms.Add(name, std::move(parts), options), IsOk());
    }
    const RecoveryPackage package = MakePackage(ListRecoverable(store).value(), ceremony, 1);
    opened = std::move(
        OpenAnswers(ListRecoverable(store).value(), package, ceremony, {AnswerOf(package, "alice")})
            .value()
            .front());
  }

  Result<RebindPlan> Bind(const std::vector<std::string>& names = {"default", "second"}) {
    return BindToTokens(
        store, {.hsms = hsms, .clock = clock, .call_timeout = kTimeout, .names = names}, opened);
  }

  // Every token of the group opens every key.
  void ExpectOpens(MasterKeyVersion version, const std::vector<std::string>& names) {
    const auto material = ReadGroupMaterial(store, kProd);
    ASSERT_THAT(material, IsOk());
    EXPECT_EQ(material->group.current_master, version);
    EXPECT_EQ(material->group.key_checks.size(), 2U);
    EXPECT_EQ(material->group.members.size(), names.size());
    EXPECT_EQ(material->members.size(), names.size());
    EXPECT_TRUE(material->damaged.empty());
    for (const std::string& name : names) {
      const MemberMaterial& member = material->members.at(name);
      ASSERT_EQ(member.masters.size(), 1U);
      const MasterKeyRecord& master = member.masters.at(version);
      for (const auto& [key_version, key] : keys.at(kProd)) {
        const auto unwrapped = hsms.Find(name)->Unwrap(
            master, member.wraps.at(key_version).at(version),
            EnvironmentKeyContext(kProd, key_version), clock.SteadyNow() + kTimeout);
        ASSERT_THAT(unwrapped, IsOk());
        EXPECT_TRUE(*unwrapped == key);
      }
    }
  }

  const SystemClock clock;  // the fake judges deadlines by it
  HsmRegistry hsms{clock};
  std::vector<std::unique_ptr<FakeMasterKeyDevice>> devices;
  OpenedEnvironment opened;
};

TEST_F(RebindTest, O3_NewTokensOpenWhatOldOnesDid) {
  const auto plan = Bind();
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->version, 4U);  // 3 was recorded
  ExpectOpens(4, {"default", "second"});
}

TEST_F(RebindTest, PlansWithoutChangingAnything) {
  const auto before = store.Contents();
  const auto plan = PlanRebind(store, kProd, {"second", "default"});
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->version, 4U);
  EXPECT_EQ(plan->members.front().hsm, "default");
  EXPECT_EQ(plan->to_delete.size(), 3U);
  EXPECT_EQ(store.Contents().size(), before.size());
  EXPECT_EQ(devices[0]->calls(), 0U);
}

TEST_F(RebindTest, CountsTheMasterKeyOfEarlierReleases) {
  RecoveryWorld old;
  old.Put("master/" + kProd.ToString(), {1});
  old.Put("wrapped/" + kProd.ToString() + "/1", {1});
  const auto plan = PlanRebind(old.store, kProd, {"default"});
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->version, 2U);
  EXPECT_EQ(plan->to_delete.size(), 2U);
}

TEST_F(RebindTest, KeepsOrderAndWeightOfTokensThatStay) {
  const KeyGroup group{.members = {{.hsm = "second", .order = 7, .weight = 9}},
                       .current_master = 3,
                       .key_checks = {}};
  Put(GroupPath(kProd), group.Encode());
  ASSERT_THAT(Bind(), IsOk());
  const auto material = ReadGroupMaterial(store, kProd);
  ASSERT_THAT(material, IsOk());
  EXPECT_EQ(material->group.Find("second")->order, 7U);
  EXPECT_EQ(material->group.Find("second")->weight, 9U);
}

TEST_F(RebindTest, CanBeRepeated) {
  ASSERT_THAT(Bind(), IsOk());
  const auto again = Bind({"second"});
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->version, 5U);
  ExpectOpens(5, {"second"});
}

TEST_F(RebindTest, NeitherBindsNorKeepsAVersionThatWasDropped) {
  opened.keys.erase(2);
  ASSERT_THAT(Bind(), IsOk());
  const auto material = ReadGroupMaterial(store, kProd);
  ASSERT_THAT(material, IsOk());
  EXPECT_THAT(material->Versions(), ElementsAre(1U));
  EXPECT_TRUE(store.Contents().contains(RecoveryPath(kProd, 1)));
  EXPECT_FALSE(store.Contents().contains(RecoveryPath(kProd, 2)));
}

TEST_F(RebindTest, LeavesTheStoreAloneWhenAnyDeviceCallFails) {
  const auto before = store.Contents();
  for (std::uint64_t call = 1;; ++call) {
    ASSERT_LT(call, 50U);
    devices[1]->FailCall(call, Unavailable("HSM away"));
    const auto bound = Bind();
    devices[1]->ClearFaults();
    if (bound.has_value()) {
      break;
    }
    EXPECT_THAT(bound,
                HasError(ErrorCode::kUnavailable, HasSubstr("HSM second, environment prod")));
    EXPECT_EQ(store.Contents().size(), before.size());
  }
  ExpectOpens(4, {"default", "second"});
  // However often it began: one master key in each token.
  EXPECT_EQ(devices[0]->master_key_ids().size(), 1U);
  EXPECT_EQ(devices[1]->master_key_ids().size(), 1U);
}

TEST_F(RebindTest, H25_FindsTheMasterKeyThatAnInterruptedRecoveryMade) {
  devices[0]->FailCallAfterActing(1, Unavailable("HSM away"));
  ASSERT_THAT(Bind(), HasError(ErrorCode::kUnavailable));
  ASSERT_THAT(Bind(), IsOk());
  EXPECT_EQ(devices[0]->master_key_ids().size(), 1U);
}

TEST_F(RebindTest, LeavesTheStoreAloneWhenAnyStoreCallFails) {
  for (int call = 1;; ++call) {
    ASSERT_LT(call, 50);
    const auto before = store.Contents();
    store.FailCall(call);
    const auto bound = Bind();
    store.Heal();
    if (bound.has_value()) {
      break;
    }
    EXPECT_THAT(bound, HasError(ErrorCode::kUnavailable));
    EXPECT_EQ(store.Contents().size(), before.size());
  }
  ExpectOpens(4, {"default", "second"});
}

TEST_F(RebindTest, SeesThatACommitHappenedWhoseAnswerWasLost) {
  store.LoseNextCommitAnswer();
  ASSERT_THAT(Bind(), IsOk());
  ExpectOpens(4, {"default", "second"});
}

TEST_F(RebindTest, H20_RefusesATokenThatDoesNotOpenItsOwnWrap) {
  devices[0]->CorruptNextWrap();
  const auto bound = Bind();
  EXPECT_FALSE(bound.has_value());
  EXPECT_FALSE(store.Contents().contains(GroupPath(kProd)));
}

TEST_F(RebindTest, RefusesTokensThatAreNotThereOrNamedTwice) {
  EXPECT_THAT(Bind({"third"}), HasError(ErrorCode::kNotFound, HasSubstr("third")));
  EXPECT_THAT(Bind({}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Bind({"default", "default"}), HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms
