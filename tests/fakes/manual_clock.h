// SPDX-License-Identifier: Apache-2.0
// ManualClock: time moves only when a test says so.
#pragma once

#include <atomic>

#include "kms/base/clock.h"

namespace kms::testing {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] WallTime Now() const override {
    return WallTime{std::chrono::nanoseconds{wall_nanoseconds_.load()}};
  }
  [[nodiscard]] SteadyTime SteadyNow() const override {
    return SteadyTime{std::chrono::nanoseconds{steady_nanoseconds_.load()}};
  }
  // Moves both clocks.
  void Advance(std::chrono::nanoseconds by) {
    wall_nanoseconds_ += by.count();
    steady_nanoseconds_ += by.count();
  }
  // Moves the wall clock only, as an administrator or NTP would.
  void StepWall(std::chrono::nanoseconds by) { wall_nanoseconds_ += by.count(); }

 private:
  std::atomic<std::int64_t> wall_nanoseconds_{1'767'225'600'000'000'000};  // 2026-01-01T00:00:00Z
  std::atomic<std::int64_t> steady_nanoseconds_{1'000'000'000'000};
};

}  // namespace kms::testing
