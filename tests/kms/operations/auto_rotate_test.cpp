// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/auto_rotate.h"

#include "kms/operations/configure_key.h"
#include "kms/operations/soft_delete_key.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/kms/operations/key_world.h"
#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::IsOk;
using testing::MemoryAuditLog;
using testing::Name;
using testing::World;

constexpr std::chrono::hours kHour{1};

class AutoRotateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.options.audit = &audit_;
    world_.options.limits.max_encryptions_per_version = 1000;
    Start();
    dev_ = world_.Make("dev");
  }

  void Start() {
    world_.Start();
    rotator_ = std::make_unique<AutoRotator>(
        world_.environments(), [this](std::string_view path, const Error& error) {
          failures_.push_back(std::string(path) + ": " + error.public_message);
        });
    dev_ = world_.environments().Find("dev");
  }

  KeyHandle Make(std::string_view name, std::int64_t period,
                 KeyType type = KeyType::kAes256Gcm96) {
    return CreateKey(*dev_, Name(name), {.type = type, .auto_rotate_period_seconds = period})
        .value()
        .key;
  }
  KeyVersionNumber LatestOf(std::string_view name) {
    return dev_->FindKey(Name(name)).value()->policy().latest_version;
  }

  MemoryAuditLog audit_;
  World world_;
  std::shared_ptr<Environment> dev_;
  std::unique_ptr<AutoRotator> rotator_;
  std::vector<std::string> failures_;
};

TEST_F(AutoRotateTest, RotatesAKeyWhenItsPeriodIsOver) {
  Make("hourly", 3600);
  Make("never", 0);
  EXPECT_EQ(rotator_->Run().rotated, 0U);
  world_.clock.Advance(kHour - std::chrono::seconds(1));
  EXPECT_EQ(rotator_->Run().rotated, 0U);

  world_.clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(rotator_->Run().rotated, 1U);
  EXPECT_EQ(rotator_->Run().rotated, 0U) << "once a period";

  EXPECT_EQ(LatestOf("hourly"), 2U);
  EXPECT_EQ(LatestOf("never"), 1U);
  world_.clock.Advance(kHour);
  EXPECT_EQ(rotator_->Run().rotated, 1U);
  EXPECT_EQ(LatestOf("hourly"), 3U);
}

TEST_F(AutoRotateTest, RecordsEachRotationBeforeAndAfter) {
  Make("hourly", 3600);
  world_.clock.Advance(kHour);
  rotator_->Run();

  const std::vector<std::string> records = audit_.records();
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0], HasSubstr(R"("type":"request")"));
  EXPECT_THAT(records[0], HasSubstr("dev/keys/hourly/rotate"));
  EXPECT_THAT(records[0], HasSubstr("kmsd auto-rotation (period)"));
  EXPECT_THAT(records[1], HasSubstr(R"("type":"response")"));
}

TEST_F(AutoRotateTest, RotatesNothingThatCannotBeRecorded) {
  Make("hourly", 3600);
  world_.clock.Advance(kHour);
  audit_.RefuseAppends();
  EXPECT_EQ(rotator_->Run().failed, 1U);
  EXPECT_THAT(failures_, SizeIs(1));
  EXPECT_EQ(LatestOf("hourly"), 1U);

  audit_.RefuseAppends(false);
  EXPECT_EQ(rotator_->Run().rotated, 1U) << "it stays due";
}

TEST_F(AutoRotateTest, FollowsAManualRotationAndAChangedPeriod) {
  Make("hourly", 3600);
  world_.clock.Advance(kHour / 2);
  ASSERT_THAT(RotateKey(*dev_, Name("hourly")), IsOk());
  world_.clock.Advance(kHour / 2);
  EXPECT_EQ(rotator_->Run().rotated, 0U) << "the newest version counts";

  ASSERT_THAT(ConfigureKey(*dev_, Name("hourly"),
                           {.min_decryption_version = {},
                            .min_encryption_version = {},
                            .deletion_allowed = {},
                            .exportable = {},
                            .allow_plaintext_backup = {},
                            .auto_rotate_period_seconds = 0}),
              IsOk());
  world_.clock.Advance(10 * kHour);
  EXPECT_EQ(rotator_->Run().rotated, 0U);
}

TEST_F(AutoRotateTest, SkipsSoftDeletedKeysUntilTheyAreRestored) {
  Make("hourly", 3600);
  ASSERT_THAT(SoftDeleteKey(*dev_, Name("hourly")), IsOk());
  world_.clock.Advance(kHour);
  const AutoRotateReport report = rotator_->Run();
  EXPECT_EQ(report.rotated + report.failed, 0U);

  ASSERT_THAT(RestoreSoftDeletedKey(*dev_, Name("hourly")), IsOk());
  EXPECT_EQ(rotator_->Run().rotated, 1U);
}

TEST_F(AutoRotateTest, SkipsASealedEnvironmentAndServesTheOthers) {
  Make("hourly", 3600);
  const std::shared_ptr<Environment> staging = world_.Make("staging");
  ASSERT_THAT(CreateKey(*staging, Name("app"), {.auto_rotate_period_seconds = 3600}), IsOk());
  ASSERT_THAT(world_.environments().Seal("dev", "the test says so"), IsOk());
  world_.clock.Advance(kHour);

  EXPECT_EQ(rotator_->Run().rotated, 1U);
  EXPECT_TRUE(failures_.empty());
  EXPECT_EQ(staging->FindKey(Name("app")).value()->policy().latest_version, 2U);
}

TEST_F(AutoRotateTest, GoesOnAfterARestartAndAnInterruption) {
  for (const char* name : {"a", "b", "c"}) {
    Make(name, 3600);
  }
  world_.clock.Advance(kHour);
  int asked = 0;
  rotator_->Run([&] { return ++asked > 3; });
  Start();
  rotator_->Run();
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(LatestOf(name), 2U) << name;
  }
}

TEST_F(AutoRotateTest, ReadsOnlyKeysThatChangedAndKeepsNoneWarm) {
  for (int key = 0; key < 50; ++key) {
    Make("key" + std::to_string(key), 86'400);
  }
  Start();
  rotator_->Run();
  EXPECT_EQ(dev_->warm_keys(), 0U);
  const int before = world_.store.gets();
  rotator_->Run();
  EXPECT_EQ(world_.store.gets(), before);

  ASSERT_THAT(RotateKey(*dev_, Name("key7")), IsOk());
  const int again = world_.store.gets();
  rotator_->Run();
  EXPECT_EQ(world_.store.gets() - again, 1);
}

TEST_F(AutoRotateTest, ADamagedKeyHoldsUpNoOther) {
  Make("a", 3600);
  Make("b", 3600);
  world_.clock.Advance(kHour);
  world_.store.Tamper("e/" + dev_->identity().id.ToString() + "/keys/a", Bytes(100, 1));

  const AutoRotateReport report = rotator_->Run();

  EXPECT_EQ(report.rotated, 1U);
  EXPECT_EQ(report.failed, 1U);
  EXPECT_THAT(failures_.at(0), HasSubstr("dev/keys/a"));
}

TEST_F(AutoRotateTest, C3_RotatesAKeyNearItsLimitBeforeARequestMust) {
  Make("busy", 0);
  std::string ciphertext;
  for (int i = 0; i < 874; ++i) {
    ASSERT_THAT(testing::EncryptUnder(*dev_, "busy", "m", ciphertext), IsOk());
  }
  EXPECT_EQ(rotator_->Run().rotated, 0U);
  ASSERT_THAT(testing::EncryptUnder(*dev_, "busy", "m", ciphertext), IsOk());

  EXPECT_EQ(rotator_->Run().rotated, 1U);
  EXPECT_EQ(LatestOf("busy"), 2U);
  EXPECT_EQ(rotator_->Run().rotated, 0U);
  EXPECT_THAT(audit_.records().at(0), HasSubstr("usage limit"));
}

TEST_F(AutoRotateTest, APeriodOfCenturiesNeverComes) {
  Make("patient", std::int64_t{1} << 62U);
  world_.clock.Advance(kHour);
  EXPECT_EQ(rotator_->Run().rotated, 0U);
}

}  // namespace
}  // namespace kms
