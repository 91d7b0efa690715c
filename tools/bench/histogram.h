// SPDX-License-Identifier: Apache-2.0
// Histogram: latencies in log-linear buckets; exact below 64 ns, within 1/32 (3 %) above.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace kms::tools {

class Histogram {
 public:
  void Record(std::chrono::nanoseconds value);
  void Add(const Histogram& other);

  // The smallest recorded value that at least `fraction` (0..1) of the values do not exceed,
  // rounded up to its bucket's end and never above max(). Zero when nothing was recorded.
  [[nodiscard]] std::chrono::nanoseconds Quantile(double fraction) const;
  [[nodiscard]] std::chrono::nanoseconds max() const { return std::chrono::nanoseconds(max_); }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  static constexpr unsigned kSubBucketBits = 5;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBucketBits;
  static constexpr std::size_t kBuckets = kSubBuckets * (64 - kSubBucketBits + 1);

  static std::size_t BucketOf(std::uint64_t value);
  static std::uint64_t EndOf(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace kms::tools
