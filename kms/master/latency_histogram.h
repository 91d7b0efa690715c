// SPDX-License-Identifier: Apache-2.0
// LatencyHistogram: how long calls took in the last five minutes, within an eighth.
#pragma once

#include <array>
#include <cstdint>

#include "kms/base/clock.h"
#include "kms/master/hsm_registry.h"

namespace kms {

// Thread rule: the caller's lock guards it.
class LatencyHistogram {
 public:
  void Add(SteadyTime now, std::uint64_t microseconds);
  [[nodiscard]] LatencySummary Summary(SteadyTime now) const;

 private:
  // Eight steps from each power of two to the next, up to 2^36 microseconds.
  static constexpr std::size_t kBuckets = 34 * 8;
  static constexpr std::size_t kMinutes = 5;
  using Counts = std::array<std::uint32_t, kBuckets>;

  struct Minute {
    std::int64_t number = -1;
    Counts counts{};
  };

  static std::size_t BucketOf(std::uint64_t microseconds);
  // The largest value that falls into the bucket.
  static std::uint64_t UpperBound(std::size_t bucket);
  static std::int64_t MinuteOf(SteadyTime now);

  std::array<Minute, kMinutes> minutes_{};
};

}  // namespace kms
