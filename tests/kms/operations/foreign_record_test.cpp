// SPDX-License-Identifier: Apache-2.0
// Rows of master keys are not sealed: one that names the key of another environment must not have
// that key destroyed (D10).
#include <gmock/gmock.h>

#include "tests/kms/operations/group_world.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// "prod" and "dev" are both opened by "a", and the master key of "dev" was rotated.
class ForeignRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    CreateEnvironmentRequest request;
    request.hsms = {"a"};
    ASSERT_THAT(Environments().Create(EnvName("dev"), request), IsOk());
    ASSERT_THAT(Environments().MakeMasterKey("dev", "a", 2), IsOk());
    ASSERT_THAT(Environments().SwitchMasterKey("dev", 2), IsOk());
    victim_ = world_.MasterOf(*Environments().Find("prod"), "a");
  }
  kms::Environments& Environments() { return world_.environments(); }
  // What somebody does who can write to the store.
  void Write(MasterKeyVersion version, const MasterKeyRecord& record) {
    const std::string path = MasterPath(Environments().Find("dev")->identity().id, "a", version);
    const auto stored = world_.store.Get(path);
    ASSERT_TRUE(stored.has_value() && stored->has_value());
    honest_ = MasterKeyRecord::Decode((*stored)->value).value();
    ASSERT_THAT(world_.store.Commit(
                    {{.path = path, .value = record.Encode(), .expected_revision = std::nullopt}}),
                IsOk());
  }
  // The victim's id under the name that is expected.
  MasterKeyRecord Disguised(MasterKeyVersion version) {
    MasterKeyRecord record = victim_;
    record.label = "kms/dev/" + std::to_string(version);
    record.version = version;
    return record;
  }
  void ExpectProdLives() {
    EXPECT_THAT(world_.Token("a").master_key_ids(), Contains(victim_.id));
    world_.Start();
    EXPECT_FALSE(world_.Sealed()) << world_.StatusOf("prod").reason;
    EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
  }

  GroupWorld world_{{"a"}};
  MasterKeyRecord victim_;
  MasterKeyRecord honest_;  // what the row said before it was written over
};

TEST_F(ForeignRecordTest, D10_RetiringDestroysNoKeyOfAnotherEnvironment) {
  Write(1, victim_);
  EXPECT_THAT(Environments().RetireMasterKey("dev", "a", 1),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr("kms/dev/1"), HasSubstr("kms/prod/1"),
                             HasSubstr("restore the store from a backup"))));
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_RetiringLooksAtTheTokensLabelToo) {
  Write(1, Disguised(1));
  EXPECT_THAT(Environments().RetireMasterKey("dev", "a", 1),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr("kms/dev/1"), HasSubstr("kms/prod/1"))));
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_TheIdOfALaterKeyFollowsFromWhatItIsFor) {
  ASSERT_THAT(Environments().MakeMasterKey("dev", "a", 3), IsOk());
  ASSERT_THAT(Environments().SwitchMasterKey("dev", 3), IsOk());
  Write(2, Disguised(2));
  EXPECT_THAT(Environments().RetireMasterKey("dev", "a", 2),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr(victim_.id.ToString())));
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_AnHonestRowIsRetiredAfterwards) {
  Write(1, victim_);
  ASSERT_FALSE(Environments().RetireMasterKey("dev", "a", 1).has_value());
  const MasterKeyRecord honest = honest_;
  Write(1, honest);
  EXPECT_THAT(Environments().RetireMasterKey("dev", "a", 1), IsOk());
  EXPECT_THAT(world_.Token("a").master_key_ids(), SizeIs(2));
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_DeletingDestroysNoKeyOfAnotherEnvironment) {
  Write(1, victim_);
  EXPECT_THAT(Environments().Delete(EnvName("dev")),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr("kms/prod/1"), HasSubstr("still holds keys"))));
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_DeletingLooksAtTheTokensLabelToo) {
  Write(1, Disguised(1));
  EXPECT_THAT(Environments().Delete(EnvName("dev")),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("kms/prod/1")));
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_ADeletionGoesOnWithoutTheToken) {
  Write(1, victim_);
  ASSERT_FALSE(Environments().Delete(EnvName("dev")).has_value());
  ASSERT_THAT(Environments().LeaveHsm("dev", "a", /*destroy=*/false), IsOk());
  EXPECT_THAT(Environments().Delete(EnvName("dev")), IsOk());
  bool told = false;
  for (const std::string& record : world_.audit.records()) {
    told = told || (record.find("hsm-leave") != std::string::npos &&
                    record.find("kms/prod/1") != std::string::npos);
  }
  EXPECT_TRUE(told);
  ExpectProdLives();
}

TEST_F(ForeignRecordTest, D10_ALeavingTokenDestroysNoKeyOfAnotherEnvironment) {
  ASSERT_THAT(Environments().JoinHsm("dev", {.hsm = "b"}), IsOk());
  Write(1, victim_);
  EXPECT_THAT(Environments().LeaveHsm("dev", "a", /*destroy=*/true),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("kms/prod/1")));
  EXPECT_THAT(Environments().MembersOf("dev"), SizeIs(2)) << "nothing was changed";
  Write(1, Disguised(1));
  EXPECT_THAT(Environments().LeaveHsm("dev", "a", /*destroy=*/true),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("kms/prod/1")));
  ExpectProdLives();
}

}  // namespace
}  // namespace kms::testing
