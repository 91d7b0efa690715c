// SPDX-License-Identifier: Apache-2.0
// The breaker, the queue and the stopwatch before a token.
#include "kms/master/guarded_device.h"

#include <atomic>
#include <thread>
#include <vector>

#include "kms/master/latency_histogram.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/fakes/manual_clock.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::FakeMasterKeyDevice;
using testing::FakeToken;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::ManualClock;
using namespace std::chrono_literals;

// Waits for what other threads are about to do.
template <typename Condition>
bool Soon(Condition condition) {
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

class GuardedDeviceTest : public ::testing::Test {
 protected:
  GuardedDevice& Guard(const BreakerOptions& options = {}) {
    guarded_ = std::make_unique<GuardedDevice>(
        "a", HsmParts{.owner = nullptr, .master_keys = &device_}, options, clock_);
    return *guarded_;
  }
  Result<SecretBytes> Call() { return guarded_->Random(16, clock_.SteadyNow() + 5s); }
  BreakerState State() { return guarded_->State().breaker; }
  void OpenBreaker() {
    device_.SetPresent(false);
    for (int call = 0; call < 3; ++call) {
      EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable));
    }
  }

  ManualClock clock_;
  FakeMasterKeyDevice device_{std::make_shared<FakeToken>(), &clock_};
  std::unique_ptr<GuardedDevice> guarded_;
};

TEST_F(GuardedDeviceTest, PassesAnswersAndErrorsOn) {
  Guard();
  EXPECT_THAT(Call(), IsOk());
  device_.SetState(DeviceState::kLockedOut, "the PIN was refused");
  for (int call = 0; call < 10; ++call) {
    EXPECT_THAT(Call(), HasError(ErrorCode::kFailedPrecondition));
  }
  EXPECT_EQ(State(), BreakerState::kClosed) << "a token that says no is there";
  EXPECT_EQ(guarded_->State().device.calls, 11U);
}

TEST_F(GuardedDeviceTest, H8_SingleFailuresDoNotOpenTheBreaker) {
  Guard();
  for (int call = 0; call < 30; ++call) {
    if (call % 3 != 0) {
      device_.FailCall(1, Unavailable("busy"));
    }
    IgnoreError(Call(), "counted by the breaker");
  }
  EXPECT_EQ(State(), BreakerState::kClosed);
}

// Keys cannot be made, and the others are used.
TEST_F(GuardedDeviceTest, H22_AFullTokenIsThereAndServesItsKeys) {
  Guard({.failures_to_open = 1});
  const auto deadline = clock_.SteadyNow() + 5s;
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord master,
                           guarded_->GenerateMasterKey(Uuid::Random(), 1, "m", deadline));
  const SecretBytes key = SecretBytes::CopyOf(Bytes(32, 7)).value();
  for (int call = 0; call < 10; ++call) {
    device_.FailCall(1, MakeError(ErrorCode::kResourceExhausted, "the token is full"));
    EXPECT_THAT(guarded_->GenerateMasterKey(Uuid::Random(), 2, "m", deadline),
                HasError(ErrorCode::kUnavailable, HasSubstr("the token is full")))
        << "what is tried again later";
    KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                             guarded_->Wrap(master, key, AsBytes("context"), deadline));
    EXPECT_THAT(guarded_->Unwrap(master, wrapped, AsBytes("context"), deadline), IsOk());
  }
  EXPECT_EQ(State(), BreakerState::kClosed);
  EXPECT_EQ(guarded_->State().breaker_opened, 0U);
}

TEST_F(GuardedDeviceTest, ThreeFailuresInARowOpenItAndCallsFailAtOnce) {
  Guard();
  OpenBreaker();

  const std::uint64_t asked = device_.calls();
  EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable, HasSubstr("HSM a does not answer")));
  EXPECT_EQ(device_.calls(), asked);
  const HsmStatus status = guarded_->State();
  EXPECT_EQ(status.breaker, BreakerState::kOpen);
  EXPECT_EQ(status.breaker_opened, 1U);
  EXPECT_EQ(status.refused_calls, 1U);
  EXPECT_GT(status.retry_in_ms.value_or(0), 0);
  EXPECT_FALSE(guarded_->WouldTry());
}

// A device that takes all the time it is given before it says that the HSM is silent.
class HungDevice final : public FakeMasterKeyDevice {
 public:
  explicit HungDevice(ManualClock& clock)
      : FakeMasterKeyDevice(std::make_shared<FakeToken>(), &clock), manual_(clock) {}
  Result<SecretBytes> Random(std::size_t /*size*/, Deadline deadline) override {
    manual_.Advance(deadline - manual_.SteadyNow());
    return Unavailable("HSM did not answer in time");
  }

 private:
  ManualClock& manual_;
};

TEST(GuardedDevice, H6_OneHungCallOpensTheBreaker) {
  ManualClock clock;
  HungDevice device(clock);
  GuardedDevice guarded("a", {.owner = nullptr, .master_keys = &device}, {}, clock);
  EXPECT_THAT(guarded.Random(16, clock.SteadyNow() + 5s), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(guarded.State().breaker, BreakerState::kOpen);
}

TEST_F(GuardedDeviceTest, AProbeThatIsAnsweredClosesIt) {
  Guard();
  OpenBreaker();
  device_.SetPresent(true);
  EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable)) << "not before the pause is over";
  clock_.Advance(500ms);

  EXPECT_TRUE(guarded_->WouldTry());
  EXPECT_THAT(Call(), IsOk());
  EXPECT_EQ(State(), BreakerState::kClosed);
}

TEST_F(GuardedDeviceTest, PausesGrowToTheLongestAndAreNeverTheSame) {
  Guard({.first_pause = 1000ms, .longest_pause = 4000ms});
  OpenBreaker();
  std::vector<std::int64_t> pauses;
  for (int round = 0; round < 5; ++round) {
    const std::int64_t pause = guarded_->State().retry_in_ms.value_or(0);
    pauses.push_back(pause);
    clock_.Advance(std::chrono::milliseconds(pause));
    EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable));
  }
  for (const auto& [index, longest] : {std::pair{0U, 1000}, {1U, 2000}, {2U, 4000}, {4U, 4000}}) {
    EXPECT_LE(pauses[index], longest);
    EXPECT_GE(pauses[index], longest * 3 / 4);
  }
}

TEST_F(GuardedDeviceTest, OneCallProbesWhileOthersStillFailAtOnce) {
  Guard();
  OpenBreaker();
  device_.SetPresent(true);
  device_.SetStuck(true);
  clock_.Advance(500ms);
  std::jthread probe([this] { EXPECT_THAT(Call(), IsOk()); });
  ASSERT_TRUE(Soon([this] { return State() == BreakerState::kHalfOpen; }));

  EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable, HasSubstr("does not answer")));
  EXPECT_FALSE(guarded_->WouldTry());
  device_.SetStuck(false);
  probe.join();
  EXPECT_EQ(State(), BreakerState::kClosed);
}

TEST_F(GuardedDeviceTest, H6_NoMoreThanMaxCallsAreInFlightAndNoMoreThanMaxWaitingWait) {
  Guard({.max_calls = 2, .max_waiting = 3});
  device_.SetStuck(true);
  std::atomic<int> answered = 0;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 5; ++caller) {
    callers.emplace_back([&] { answered += Call().has_value() ? 1 : 0; });
  }
  ASSERT_TRUE(Soon([this] {
    const HsmStatus status = guarded_->State();
    return status.calls_in_flight == 2 && status.calls_waiting == 3;
  }));

  EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable, HasSubstr("HSM a is busy")));
  EXPECT_FALSE(guarded_->WouldTry());
  device_.SetStuck(false);
  callers.clear();
  EXPECT_EQ(answered, 5);
  EXPECT_EQ(guarded_->State().calls_in_flight, 0U);
}

// Threads that serve everybody are not left to a token that is slow.
TEST_F(GuardedDeviceTest, H7_ASlowTokenHoldsUpNoMoreRequestsThanItMay) {
  guarded_ = std::make_unique<GuardedDevice>(
      "a", HsmParts{.owner = nullptr, .master_keys = &device_, .resident_keys = &device_},
      BreakerOptions{.max_slow_requests = 2, .slow_after = 250ms}, clock_);
  const auto find = [this] {
    return guarded_->resident_keys()->FindResidentKey("app", clock_.SteadyNow() + 5s);
  };
  EXPECT_THAT(find(), HasError(ErrorCode::kNotFound));
  device_.SetStuck(true);
  std::vector<std::jthread> requests;
  for (int request = 0; request < 3; ++request) {  // the third waits for a place
    requests.emplace_back([&] { IgnoreError(find(), "there is none"); });
  }
  EXPECT_TRUE(Soon([this] { return guarded_->State().calls_in_flight == 2; }));
  EXPECT_EQ(guarded_->State().refused_calls, 0U) << "no token is slow before it was seen to be";
  clock_.Advance(250ms);
  EXPECT_TRUE(Soon([this] { return guarded_->State().refused_calls == 1; }));
  requests.emplace_back([&] {
    EXPECT_THAT(find(), HasError(ErrorCode::kUnavailable, HasSubstr("HSM a is slow")));
  });
  EXPECT_TRUE(Soon([this] { return guarded_->State().refused_calls == 2; }));
  // What is no request is asked all the same: the lease depends on it.
  requests.emplace_back([this] { EXPECT_THAT(Call(), IsOk()); });
  EXPECT_TRUE(Soon([this] { return guarded_->State().calls_in_flight == 3; }));
  device_.SetStuck(false);
  requests.clear();
  EXPECT_THAT(find(), HasError(ErrorCode::kNotFound)) << "one at a time may try";
  EXPECT_EQ(State(), BreakerState::kClosed);
}

TEST_F(GuardedDeviceTest, WaitingEndsWithTheDeadline) {
  Guard({.max_calls = 1});
  device_.SetStuck(true);
  std::jthread stuck([this] { IgnoreError(Call(), "stuck"); });
  ASSERT_TRUE(Soon([this] { return guarded_->State().calls_in_flight == 1; }));
  std::jthread waiter(
      [this] { EXPECT_THAT(Call(), HasError(ErrorCode::kUnavailable, HasSubstr("is busy"))); });
  ASSERT_TRUE(Soon([this] { return guarded_->State().calls_waiting == 1; }));

  clock_.Advance(6s);
  waiter.join();
  device_.SetStuck(false);
}

TEST_F(GuardedDeviceTest, ADeadlineThatHasPassedIsNoFaultOfTheToken) {
  Guard();
  for (int call = 0; call < 5; ++call) {
    EXPECT_THAT(guarded_->Random(16, clock_.SteadyNow() - 1s), HasError(ErrorCode::kUnavailable));
  }
  EXPECT_EQ(State(), BreakerState::kClosed);
  EXPECT_EQ(device_.calls(), 0U);
}

TEST_F(GuardedDeviceTest, H24_AStormOfCallersThroughFaultsEndsWithEveryCallCounted) {
  Guard({.max_calls = 3, .max_waiting = 4});
  std::atomic<bool> stop = false;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&] {
      while (!stop) {
        IgnoreError(Call(), "some fail");
      }
    });
  }
  for (int change = 0; change < 50; ++change) {
    device_.SetPresent(change % 2 == 0);
    clock_.Advance(5s);
    std::this_thread::yield();
  }
  device_.SetPresent(true);
  clock_.Advance(5s);
  ASSERT_TRUE(Soon([this] { return State() == BreakerState::kClosed; }));
  stop = true;
  callers.clear();
  const HsmStatus status = guarded_->State();
  EXPECT_EQ(status.calls_in_flight, 0U);
  EXPECT_EQ(status.calls_waiting, 0U);
}

TEST(LatencyHistogram, TellsQuantilesOfTheLastMinutesWithinAnEighth) {
  LatencyHistogram histogram;
  const SteadyTime now{1h};
  for (std::uint64_t us = 1; us <= 1000; ++us) {
    histogram.Add(now, us);
  }
  const LatencySummary summary = histogram.Summary(now);
  EXPECT_EQ(summary.calls, 1000U);
  for (const auto& [told, real] :
       {std::pair{summary.p50_us, 500U}, {summary.p95_us, 950U}, {summary.p99_us, 990U}}) {
    EXPECT_GE(told, real);
    EXPECT_LE(told, real + real / 8);
  }
  EXPECT_EQ(histogram.Summary(now + 4min).calls, 1000U);
  EXPECT_EQ(histogram.Summary(now + 6min).calls, 0U);
  EXPECT_EQ(histogram.Summary(now + 6min).p99_us, 0U);
  histogram.Add(now + 10min, UINT64_MAX);
  EXPECT_EQ(histogram.Summary(now + 10min).calls, 1U);
}

TEST(HsmRegistry, KnowsTokensByName) {
  ManualClock clock;
  FakeMasterKeyDevice device(std::make_shared<FakeToken>(), &clock);
  HsmRegistry hsms(clock);
  EXPECT_THAT(hsms.Add("b", {.owner = nullptr, .master_keys = &device}), IsOk());
  EXPECT_THAT(hsms.Add("a", {.owner = nullptr, .master_keys = &device}), IsOk());
  EXPECT_THAT(hsms.Add("a", {.owner = nullptr, .master_keys = &device}),
              HasError(ErrorCode::kAlreadyExists));
  EXPECT_THAT(hsms.Add("A", {.owner = nullptr, .master_keys = &device}),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(hsms.Names(), ElementsAre("a", "b"));
  ASSERT_EQ(hsms.Statuses().size(), 2U);
  EXPECT_EQ(hsms.Statuses()[1].name, "b");

  const std::shared_ptr<GuardedDevice> held = hsms.Find("a");
  EXPECT_THAT(hsms.Remove("a"), IsOk());
  EXPECT_THAT(hsms.Remove("a"), HasError(ErrorCode::kNotFound));
  EXPECT_EQ(hsms.Find("a"), nullptr);
  EXPECT_THAT(held->Random(16, clock.SteadyNow() + 1s), IsOk());
  EXPECT_THAT(hsms.Remove("b"), IsOk());
  EXPECT_THAT(hsms.Names(), IsEmpty());
}

TEST(HsmRegistry, H14_ATokenThatIsSetAsideSaysWhyUntilItIsAddedAgain) {
  ManualClock clock;
  FakeMasterKeyDevice device{std::make_shared<FakeToken>(), &clock};
  HsmRegistry hsms(clock);
  ASSERT_THAT(hsms.Add("a", {.owner = nullptr, .master_keys = &device}), IsOk());
  EXPECT_EQ(hsms.WhySetAside("a"), "");
  ASSERT_THAT(hsms.SetAside("a", "it was set back"), IsOk());
  EXPECT_EQ(hsms.Find("a"), nullptr);
  EXPECT_EQ(hsms.WhySetAside("a"), "it was set back");
  EXPECT_THAT(hsms.SetAside("b", "never known"), HasError(ErrorCode::kNotFound));
  EXPECT_EQ(hsms.WhySetAside("b"), "");
  ASSERT_THAT(hsms.Add("a", {.owner = nullptr, .master_keys = &device}), IsOk());
  EXPECT_EQ(hsms.WhySetAside("a"), "");
}

TEST(HsmRegistry, ARemovedTokenLivesUntilItsLastUserLetsGo) {
  ManualClock clock;
  auto device = std::make_shared<FakeMasterKeyDevice>(std::make_shared<FakeToken>(), &clock);
  const std::weak_ptr<FakeMasterKeyDevice> watched = device;
  HsmRegistry hsms(clock);
  ASSERT_THAT(hsms.Add("a", {.owner = device, .master_keys = device.get()}), IsOk());
  device.reset();
  std::shared_ptr<GuardedDevice> held = hsms.Find("a");
  ASSERT_THAT(hsms.Remove("a"), IsOk());
  EXPECT_FALSE(watched.expired());
  held.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace kms
