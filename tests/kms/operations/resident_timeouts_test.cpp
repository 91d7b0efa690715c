// SPDX-License-Identifier: Apache-2.0
// How long calls to keys in HSMs may take, and how long others wait for whoever makes one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

#include "tests/kms/operations/resident_world.h"

namespace kms {
namespace {

using namespace std::chrono_literals;
using testing::FakeMasterKeyDevice;
using testing::FakeToken;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::ManualClock;
using testing::ResidentWorld;

// Remembers how much time it was given.
class TimedDevice final : public FakeMasterKeyDevice {
 public:
  explicit TimedDevice(ManualClock& clock)
      : FakeMasterKeyDevice(std::make_shared<FakeToken>(), &clock), manual_(clock) {}
  Result<ResidentKeyRecord> GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                const std::string& label,
                                                Deadline deadline) override {
    given = deadline - manual_.SteadyNow();
    return FakeMasterKeyDevice::GenerateResidentKey(id, type, label, deadline);
  }
  Result<Bytes> ResidentSign(const ResidentKeyRecord& key, const ResidentSignRequest& request,
                             Deadline deadline) override {
    given = deadline - manual_.SteadyNow();
    return FakeMasterKeyDevice::ResidentSign(key, request, deadline);
  }

  SteadyTime::duration given{};

 private:
  ManualClock& manual_;
};

struct TimeoutCase {
  std::chrono::milliseconds call_timeout;
  std::chrono::milliseconds use;
  std::chrono::milliseconds making;
};

class ResidentTimeouts : public ::testing::TestWithParam<TimeoutCase> {};

TEST_P(ResidentTimeouts, H7_AreThoseOfTheToken) {
  ManualClock clock;
  TimedDevice device(clock);
  HsmRegistry hsms(clock);
  ASSERT_THAT(hsms.Add("a", {.owner = nullptr, .master_keys = &device, .resident_keys = &device},
                       {.call_timeout = GetParam().call_timeout}),
              IsOk());
  const ResidentKeys keys(hsms, clock);
  KMS_ASSERT_OK_AND_ASSIGN(
      const ResidentKeyRecord record,
      keys.Generate("a", Uuid::Random(), ResidentKeyType::kEcdsaP256, "label"));
  EXPECT_EQ(device.given, GetParam().making);
  EXPECT_THAT(keys.Sign({.hsm = "a", .reference = {}, .record = record},
                        {.digest = Bytes(32, 1)}),
              IsOk());
  EXPECT_EQ(device.given, GetParam().use);
}

INSTANTIATE_TEST_SUITE_P(
    Timeouts, ResidentTimeouts,
    ::testing::Values(TimeoutCase{.call_timeout = 0ms, .use = 5s, .making = 60s},
                      TimeoutCase{.call_timeout = 200ms, .use = 200ms, .making = 60s},
                      TimeoutCase{.call_timeout = 30s, .use = 30s, .making = 60s},
                      TimeoutCase{.call_timeout = 120s, .use = 120s, .making = 120s}));

// The others have threads that serve everybody.
TEST(ResidentMaking, H7_OthersWaitAsLongAsAFewCallsMayTakeAndNoLonger) {
  ResidentWorld world;
  HsmRegistry hsms(world.clock);
  ASSERT_THAT(hsms.Add("first",
                       {.owner = nullptr, .master_keys = &world.first,
                        .resident_keys = &world.first},
                       {.call_timeout = 25ms}),
              IsOk());
  world.environment().set_hsms(hsms);
  const std::shared_ptr<ResidentKeys> keys = world.environment().resident_keys();
  EXPECT_EQ(keys->TurnTimeout(), 100ms);
  const std::unique_lock making(keys->making_mutex());
  std::jthread other([&] {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(world.CreateInHsm(),
                HasError(ErrorCode::kUnavailable, HasSubstr("another key is being made")));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  });
}

TEST(ResidentMaking, TheSlowestTokenSaysHowLongOthersWaitUpToTheTimeForAKey) {
  ManualClock clock;
  FakeMasterKeyDevice device(std::make_shared<FakeToken>(), &clock);
  HsmRegistry hsms(clock);
  const ResidentKeys keys(hsms, clock);
  EXPECT_EQ(keys.TurnTimeout(), 0ms) << "nobody makes any";
  const HsmParts parts{.owner = nullptr, .master_keys = &device, .resident_keys = &device};
  ASSERT_THAT(hsms.Add("usual", parts), IsOk());
  EXPECT_EQ(keys.TurnTimeout(), 20s);
  ASSERT_THAT(hsms.Add("fast", parts, {.call_timeout = 100ms}), IsOk());
  EXPECT_EQ(keys.TurnTimeout(), 20s);
  ASSERT_THAT(hsms.Add("slow", parts, {.call_timeout = 40s}), IsOk());
  EXPECT_EQ(keys.TurnTimeout(), 60s);
}

}  // namespace
}  // namespace kms
