// SPDX-License-Identifier: Apache-2.0
#include "kms/master/latency_histogram.h"

#include <algorithm>
#include <bit>

namespace kms {

namespace {

constexpr std::uint64_t kSteps = 8;
constexpr unsigned kStepBits = 3;

}  // namespace

std::size_t LatencyHistogram::BucketOf(std::uint64_t microseconds) {
  if (microseconds < kSteps) {
    return static_cast<std::size_t>(microseconds);
  }
  const auto exponent = static_cast<unsigned>(std::bit_width(microseconds)) - 1;
  const std::uint64_t step = (microseconds >> (exponent - kStepBits)) & (kSteps - 1);
  const std::uint64_t bucket = (exponent - kStepBits + 1) * kSteps + step;
  return std::min(static_cast<std::size_t>(bucket), kBuckets - 1);
}

std::uint64_t LatencyHistogram::UpperBound(std::size_t bucket) {
  if (bucket < kSteps) {
    return bucket;
  }
  const std::size_t shift = bucket / kSteps - 1;
  return ((kSteps + bucket % kSteps + 1) << shift) - 1;
}

std::int64_t LatencyHistogram::MinuteOf(SteadyTime now) {
  return std::chrono::floor<std::chrono::minutes>(now.time_since_epoch()).count();
}

void LatencyHistogram::Add(SteadyTime now, std::uint64_t microseconds) {
  const std::int64_t number = MinuteOf(now);
  Minute& minute = minutes_[static_cast<std::size_t>(number) % kMinutes];
  if (minute.number != number) {
    minute = Minute{.number = number};
  }
  ++minute.counts[BucketOf(microseconds)];
}

LatencySummary LatencyHistogram::Summary(SteadyTime now) const {
  std::array<std::uint64_t, kBuckets> counts{};
  LatencySummary summary;
  const std::int64_t oldest = MinuteOf(now) - static_cast<std::int64_t>(kMinutes);
  for (const Minute& minute : minutes_) {
    if (minute.number <= oldest) {
      continue;
    }
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      counts[bucket] += minute.counts[bucket];
      summary.calls += minute.counts[bucket];
    }
  }
  const auto quantile = [&](std::uint64_t percent) {
    const std::uint64_t rank = (summary.calls * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets && rank != 0; ++bucket) {
      seen += counts[bucket];
      if (seen >= rank) {
        return UpperBound(bucket);
      }
    }
    return std::uint64_t{0};
  };
  summary.p50_us = quantile(50);
  summary.p95_us = quantile(95);
  summary.p99_us = quantile(99);
  return summary;
}

}  // namespace kms
