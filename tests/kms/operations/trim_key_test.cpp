// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/trim_key.h"

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

TEST(TrimKey, FollowsTheScenarioOfHvacsTests) {
  KeyWorld world;
  world.CreateVersions(11);
  ASSERT_THAT(world.Configure(3, 9), IsOk());

  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle trimmed, TrimKey(world.environment(), Name("app"), 2));

  EXPECT_EQ(trimmed->policy().min_available_version, 2U);
  EXPECT_EQ(trimmed->policy().min_decryption_version, 3U);
  EXPECT_THAT(world.Stored("archive/"), SizeIs(10));
  world.ExpectPromisesKept();
}

TEST(TrimKey, DestroysForGood) {
  KeyWorld world;
  world.CreateVersions(5);
  ASSERT_THAT(world.Configure(4, 4), IsOk());
  ASSERT_THAT(TrimKey(world.environment(), Name("app"), 4), IsOk());

  EXPECT_THAT(world.Stored("archive/"), SizeIs(2));
  EXPECT_THAT(world.Configure(2, 4),
              HasError(ErrorCode::kInvalidArgument,
                       "min decryption version should not be less then min available version"));
  EXPECT_THAT(world.Configure(4, 0),
              HasError(ErrorCode::kInvalidArgument,
                       "min encryption version should not be less than min available version"));
  EXPECT_EQ(world.environment().WarmKey("app")->FindVersion(3), nullptr);
  world.ExpectPromisesKept();
}

TEST(TrimKey, AnswersInTheContractsWordsAndOrder) {
  KeyWorld world;
  const auto error = [&](std::optional<std::int64_t> minimum) {
    const Result<KeyHandle> key = TrimKey(world.environment(), Name("app"), minimum);
    EXPECT_THAT(key, HasError(ErrorCode::kInvalidArgument));
    return key.has_value() ? std::string{} : key.error().public_message;
  };

  EXPECT_EQ(error({}), "invalid key name");
  world.CreateVersions(5);
  EXPECT_EQ(error({}), "missing min_available_version");
  EXPECT_EQ(error(-1), "minimum available version cannot be decremented");
  EXPECT_EQ(error(2),
            "minimum available version cannot be set when minimum encryption version is not set");
  ASSERT_THAT(world.Configure(3, 4), IsOk());
  EXPECT_EQ(error(5),
            "minimum available version cannot be greater than minmum encryption version");
  EXPECT_EQ(error(4),
            "minimum available version cannot be greater than minimum decryption version");
  EXPECT_EQ(error(0), "minimum available version should be positive");
  ASSERT_THAT(TrimKey(world.environment(), Name("app"), 3), IsOk());
  EXPECT_EQ(error(2), "minimum available version cannot be decremented");
  EXPECT_EQ(error(std::int64_t{1} << 33),
            "minimum available version cannot be greater than minmum encryption version");
}

TEST(TrimKey, TwiceIsOnce) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(world.Configure(2, 2), IsOk());
  ASSERT_THAT(TrimKey(world.environment(), Name("app"), 2), IsOk());
  const int commits = world.store.commits();

  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle again, TrimKey(world.environment(), Name("app"), 2));

  EXPECT_EQ(again->policy().min_available_version, 2U);
  EXPECT_EQ(world.store.commits(), commits);
}

// More versions than one commit erases: the key's entry changes first, the rest is swept.
class LargeArchive : public ::testing::Test {
 protected:
  static constexpr KeyVersionNumber kVersions = 2200;

  LargeArchive() {
    world_.Create();
    EXPECT_THAT(MakeVersions(), IsOk());
    EXPECT_THAT(world_.Configure(kVersions, kVersions), IsOk());
  }

  // Rotates and retires at once, so that the working set stays small.
  Status MakeVersions() {
    for (KeyVersionNumber version = 2; version <= kVersions; ++version) {
      KMS_TRY(RotateKey(world_.environment(), Name("app")));
      KMS_TRY(world_.Configure(version, version));
    }
    return Ok();
  }

  KeyWorld world_;
};

TEST_F(LargeArchive, IsTrimmedWhole) {
  ASSERT_THAT(TrimKey(world_.environment(), Name("app"), kVersions), IsOk());

  EXPECT_THAT(world_.Stored("archive/"), SizeIs(1));
  EXPECT_THAT(world_.Stored("garbage/"), IsEmpty());
}

TEST_F(LargeArchive, IsTrimmedToTheEndByTheNextTrimWhenSweepingFailed) {
  world_.store.FailCommit(3);

  EXPECT_THAT(TrimKey(world_.environment(), Name("app"), kVersions),
              HasError(ErrorCode::kUnavailable));

  EXPECT_EQ(world_.Find()->policy().min_available_version, kVersions);
  EXPECT_THAT(TrimKey(world_.environment(), Name("app"), kVersions), IsOk());
  EXPECT_THAT(world_.Stored("archive/"), SizeIs(1));
}

TEST_F(LargeArchive, OfADeletedKeyIsSweptByTheNextDeletion) {
  world_.Create("other");
  ASSERT_THAT(world_.Configure(1, 0, "other"), IsOk());
  world_.store.FailCommit(2);

  ASSERT_THAT(DeleteKey(world_.environment(), Name("app")), IsOk());
  EXPECT_EQ(world_.Find("app"), nullptr);
  EXPECT_THAT(world_.Stored("garbage/"), SizeIs(1));

  ASSERT_THAT(DeleteKey(world_.environment(), Name("other")), IsOk());
  EXPECT_THAT(world_.Stored(""), IsEmpty());
}

}  // namespace
}  // namespace kms
