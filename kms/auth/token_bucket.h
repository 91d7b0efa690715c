// SPDX-License-Identifier: Apache-2.0
// TokenBucket: how often something may happen. Keeps one number, the moment at which it is full
// again, so that nothing has to refill it (the virtual scheduling form of ITU-T I.371's GCRA).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

#include "kms/base/clock.h"

namespace kms {

// A limit as an operator writes it. Plain value.
struct RateLimit {
  static constexpr std::int64_t kMaxRequests = 1'000'000;  // also of burst
  static constexpr std::int64_t kMaxIntervalSeconds = 3600;

  std::int64_t requests = 0;  // per interval; 0: not limited
  std::int64_t interval_seconds = 1;
  std::int64_t burst = 1;  // at once, after a pause

  [[nodiscard]] bool limited() const { return requests != 0; }
  // From one to the next; rounded up, so that never more than `requests` fit into an interval.
  [[nodiscard]] std::int64_t SpacingNanoseconds() const {
    constexpr std::int64_t kSecond = 1'000'000'000;
    return limited() ? (interval_seconds * kSecond + requests - 1) / requests : 0;
  }

  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

// Thread rule: any thread; lock-free.
class TokenBucket {
 public:
  // Takes one of `burst`, of which one comes back every `spacing` nanoseconds; or says how long
  // there will be none. Both may differ from call to call: a changed limit holds at once.
  // The caller sees to it that burst * spacing is at most a few days.
  std::optional<std::chrono::nanoseconds> Take(std::int64_t spacing, std::int64_t burst,
                                               SteadyTime now) {
    const std::int64_t current = Nanoseconds(now);
    const std::int64_t capacity = spacing * burst;
    std::int64_t full_at = full_at_.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t next = std::clamp(full_at, current, current + capacity) + spacing;
      const std::int64_t wait = next - current - capacity;
      if (wait > 0) {
        return std::chrono::nanoseconds(wait);
      }
      if (full_at_.compare_exchange_weak(full_at, next, std::memory_order_relaxed)) {
        return std::nullopt;
      }
    }
  }

  // Nanoseconds until it is full; 0: nobody would notice if it were a new one.
  [[nodiscard]] std::int64_t Debt(SteadyTime now) const {
    const std::int64_t current = Nanoseconds(now);
    return std::max(full_at_.load(std::memory_order_relaxed), current) - current;
  }

 private:
  static std::int64_t Nanoseconds(SteadyTime time) {
    return std::chrono::nanoseconds(time.time_since_epoch()).count();
  }

  std::atomic<std::int64_t> full_at_{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace kms
