// SPDX-License-Identifier: Apache-2.0
// How much time the epoch keeper gives a token.
#include "kms/backup/epochs.h"

#include <chrono>
#include <memory>

#include "tests/kms/backup/backup_world.h"

namespace kms {
namespace {

using namespace std::chrono_literals;
using testing::BackupWorld;
using testing::FakeMasterKeyDevice;
using testing::IsOk;

// Remembers how much time it was given.
class TimedToken final : public FakeMasterKeyDevice {
 public:
  using FakeMasterKeyDevice::FakeMasterKeyDevice;
  Result<std::optional<std::uint64_t>> ReadEpoch(const Uuid& id, Deadline deadline) override {
    read = deadline - std::chrono::steady_clock::now();
    return FakeMasterKeyDevice::ReadEpoch(id, deadline);
  }
  Result<std::uint64_t> RaiseEpoch(const Uuid& id, std::uint64_t value,
                                   Deadline deadline) override {
    raised = deadline - std::chrono::steady_clock::now();
    return FakeMasterKeyDevice::RaiseEpoch(id, value, deadline);
  }

  SteadyTime::duration read{};
  SteadyTime::duration raised{};
};

TEST(Epochs, H7_ASlowTokenHasItsOwnTime) {
  BackupWorld world;
  ASSERT_THAT(world.TryStart(), IsOk());
  SealedStore& sys = world.environments->sys()->store();
  const Uuid id = world.environments->sys()->identity().id;
  for (const auto call_timeout : {0ms, 100'000ms}) {
    TimedToken token(world.tokens["default"]);
    HsmRegistry hsms(world.clock);
    ASSERT_THAT(hsms.Add("default",
                         {.owner = nullptr, .master_keys = &token, .resident_keys = nullptr,
                          .epochs = &token},
                         {.call_timeout = call_timeout}),
                IsOk());
    Epochs epochs(*world.store, sys, id, hsms, 20s);
    EXPECT_THAT(epochs.Raise(), IsOk());
    const bool is_slow = call_timeout != 0ms;
    EXPECT_EQ(token.read > 20s, is_slow);
    EXPECT_EQ(token.raised > 20s, is_slow);
    EXPECT_GT(token.read, 0s);
  }
}

}  // namespace
}  // namespace kms
