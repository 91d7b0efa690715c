// SPDX-License-Identifier: Apache-2.0
// The scrub: whatever is damaged is found before it is needed, told once, and forgotten when it was
// put right.
#include "kms/tasks/scrub.h"

#include <gmock/gmock.h>

#include "tests/kms/tasks/task_world.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::FromHex;
using testing::IsOk;
using ::testing::SizeIs;
using testing::TaskWorld;

class ScrubTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.Begin();
    world_.Stop();
    Begin();
  }

  // A new process.
  void Begin() {
    ScrubOptions options;
    options.interval = std::chrono::hours(1);
    options.audit = &world_.audit;
    options.alarm = [this](std::string_view what) { alarms_.emplace_back(what); };
    options.check_store = [this] { return store_differences_; };
    scrub_.emplace(world_.environments(), world_.clock, std::move(options));
  }

  // Steps until the pass is over; the pauses are not waited for.
  void RunPass() {
    world_.clock.Advance(std::chrono::seconds(1));
    scrub_->RequestPass();
    const std::uint64_t passes = scrub_->State().passes;
    for (int step = 0; step < 1000 && scrub_->State().passes == passes; ++step) {
      scrub_->Step();
    }
    ASSERT_EQ(scrub_->State().passes, passes + 1);
  }

  std::string PathOf(const std::string& key) {
    return "e/" + world_.prod().identity().id.ToString() + "/keys/" + key;
  }
  void Flip(const std::string& path) {
    const auto stored = world_.store.Get(path);
    ASSERT_TRUE(stored.has_value() && stored->has_value()) << path;
    Bytes value = (*stored)->value;
    value.back() ^= 1U;
    ASSERT_THAT(world_.store.Commit({{.path = path, .value = value}}), IsOk());
  }

  TaskWorld world_;
  std::optional<Scrub> scrub_;
  std::vector<std::string> alarms_;
  Result<std::vector<std::string>> store_differences_ = std::vector<std::string>{};
};

TEST_F(ScrubTest, SoundServiceHasNoFindings) {
  RunPass();
  const ScrubState state = scrub_->State();
  EXPECT_THAT(state.findings, IsEmpty());
  EXPECT_THAT(alarms_, IsEmpty());
  // `sys` on one token, `prod` on two.
  EXPECT_EQ(state.previous.wraps, 3U);
  EXPECT_GE(state.previous.entries, TaskWorld::kKeys);
  EXPECT_EQ(state.previous.skipped, 0U);
}

TEST_F(ScrubTest, DamagedEntryIsToldOnceAndForgottenWhenItIsPutRight) {
  const std::string path = PathOf("key1");
  Flip(path);
  RunPass();
  ASSERT_THAT(scrub_->State().findings, SizeIs(1));
  const ScrubFinding finding = scrub_->State().findings[0];
  EXPECT_EQ(finding.target, ScrubTarget::kEntry);
  EXPECT_EQ(finding.environment, "prod");
  EXPECT_EQ(finding.what, "keys/key1");
  EXPECT_THAT(finding.problem, HasSubstr("restore it from a backup"));
  EXPECT_THAT(alarms_, ElementsAre(AllOf(HasSubstr("keys/key1"), HasSubstr("prod"))));
  EXPECT_THAT(world_.audit.records(), Contains(HasSubstr("scrub-finding")));
  RunPass();
  EXPECT_THAT(alarms_, SizeIs(1)) << "it is told once";
  Flip(path);
  RunPass();
  EXPECT_THAT(scrub_->State().findings, IsEmpty());
}

TEST_F(ScrubTest, H13_TokenThatOpensToOtherBytesIsNamed) {
  KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial keys, world_.environments().ReadKeys("prod"));
  world_.second().ReplaceMasterKey(keys.members.at("second").masters.at(1).id);
  RunPass();
  ASSERT_THAT(scrub_->State().findings, SizeIs(1));
  const ScrubFinding finding = scrub_->State().findings[0];
  EXPECT_EQ(finding.target, ScrubTarget::kWrap);
  EXPECT_EQ(finding.hsm, "second");
  EXPECT_EQ(finding.what, "environment key 1 under master key 1");
  world_.ExpectPromisesKept();
}

TEST_F(ScrubTest, WrapThatWasChangedInTheStoreIsFound) {
  Flip(WrappedPath(world_.prod().identity().id, 1, "default", 1));
  RunPass();
  EXPECT_THAT(scrub_->State().findings, ElementsAre(Field(&ScrubFinding::environment, "prod")));
}

TEST_F(ScrubTest, TokenThatIsAwayAndSealedEnvironmentsAreSkippedAndForgetNothing) {
  Flip(PathOf("key1"));
  RunPass();
  world_.second().SetPresent(false);
  ASSERT_THAT(world_.environments().Seal("prod", "by the test"), IsOk());
  RunPass();
  EXPECT_GE(scrub_->State().previous.skipped, 1U);
  EXPECT_THAT(scrub_->State().findings, SizeIs(1)) << "it may be damaged still";
}

TEST_F(ScrubTest, D11_DifferencesOfTheStoreAreFound) {
  store_differences_ =
      std::vector<std::string>{"e/x/policies: 3 entries are expected, 2 are there"};
  RunPass();
  EXPECT_THAT(scrub_->State().findings,
              ElementsAre(Field(&ScrubFinding::what, HasSubstr("3 entries"))));
  store_differences_ = Unavailable("planned by the test");
  RunPass();
  EXPECT_EQ(scrub_->State().previous.skipped, 1U);
}

TEST_F(ScrubTest, NewProcessGoesOnWhereTheLastOneSaved) {
  Flip(PathOf("key1"));
  scrub_->RequestPass();
  for (int step = 0; step < 1000 && scrub_->State().environment != "prod"; ++step) {
    scrub_->Step();
  }
  Begin();
  EXPECT_EQ(scrub_->State().environment, "prod");
  EXPECT_TRUE(scrub_->State().under_way);
  for (int step = 0; step < 100 && scrub_->State().under_way; ++step) {
    scrub_->Step();
  }
  EXPECT_EQ(scrub_->State().passes, 1U);
  EXPECT_THAT(scrub_->State().findings, SizeIs(1));
  Begin();
  RunPass();
  EXPECT_THAT(scrub_->State().findings, SizeIs(1));
  EXPECT_THAT(alarms_, SizeIs(1)) << "a known finding is not told again";
}

TEST_F(ScrubTest, NextPassBeginsWhenItIsDueAndNotBefore) {
  RunPass();
  scrub_->Step();
  EXPECT_FALSE(scrub_->State().under_way);
  world_.clock.Advance(std::chrono::hours(1));
  scrub_->Step();
  EXPECT_TRUE(scrub_->State().under_way);
}

TEST_F(ScrubTest, RecordThatCannotBeReadIsBegunAnew) {
  RunPass();
  const std::string path = "e/" + world_.environments().sys()->identity().id.ToString() + "/scrub";
  Flip(path);
  Begin();
  EXPECT_EQ(scrub_->State(), ScrubState{});
  RunPass();
}

TEST_F(ScrubTest, StoreThatFailsAtAnyCallNeverStopsIt) {
  for (int n = 1; n <= 40; ++n) {
    world_.store.FailCall(n);
    RunPass();
    world_.store.Heal();
  }
  EXPECT_THAT(scrub_->State().findings, IsEmpty());
}

TEST_F(ScrubTest, StepsPauseAsTheLimitsSay) {
  scrub_->RequestPass();
  const milliseconds pause = scrub_->Step();  // one wrap of `sys`
  EXPECT_EQ(pause, milliseconds(1000 / scrub_->options().wraps_per_second));
}

// ---- the record ---------------------------------------------------------------------------------

ScrubState Sample() {
  ScrubState state;
  state.started_unix_seconds = 1'700'000'000;
  state.finished_unix_seconds = 1'699'990'000;
  state.passes = 7;
  state.under_way = true;
  state.environment = "prod";
  state.cursor = "keys/app";
  state.wraps_done = true;
  state.counts = {.wraps = 1, .entries = 2, .skipped = 3};
  state.previous = {.wraps = 4, .entries = 5, .skipped = 6};
  state.findings = {{.target = ScrubTarget::kWrap,
                     .environment = "dev",
                     .hsm = "b",
                     .what = "w",
                     .problem = "p",
                     .first_seen_unix_seconds = 8,
                     .last_seen_unix_seconds = 9}};
  state.more_findings = 10;
  return state;
}

TEST(ScrubStateTest, FrozenSampleOpens) {
  const std::string frozen =
      "5301000000006553f10000000000"
      "6553c9f0"
      "0000000000000007"
      "01"
      "0000000470726f64"
      "000000086b6579732f617070"
      "01"
      "000000000000000100000000000000020000000000000003"
      "000000000000000400000000000000050000000000000006"
      "000000000000000a"
      "00000001"
      "01"
      "00000003646576"
      "0000000162"
      "0000000177"
      "0000000170"
      "0000000000000008"
      "0000000000000009";
  EXPECT_EQ(HexEncode(Sample().Encode()), frozen);
  KMS_ASSERT_OK_AND_ASSIGN(const ScrubState state, ScrubState::Decode(FromHex(frozen)));
  EXPECT_EQ(state, Sample());
}

TEST(ScrubStateTest, EveryShortenedOrLengthenedRecordIsRefused) {
  const Bytes encoded = Sample().Encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(ScrubState::Decode(ByteView(encoded).first(size)).has_value()) << size;
  }
  Bytes longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(ScrubState::Decode(longer).has_value());
}

}  // namespace
}  // namespace kms
