// SPDX-License-Identifier: Apache-2.0
// Log-linear buckets: 32 of equal width in each power of two.
#include "tools/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kms::tools {

std::size_t Histogram::BucketOf(std::uint64_t value) {
  if (value < 2 * kSubBuckets) {
    return static_cast<std::size_t>(value);
  }
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBucketBits - 1;
  return kSubBuckets * shift + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::EndOf(std::size_t bucket) {
  if (bucket < 2 * kSubBuckets) {
    return bucket;
  }
  const std::size_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t first = (bucket - kSubBuckets * shift) << shift;
  return first + ((std::uint64_t{1} << shift) - 1);
}

void Histogram::Record(std::chrono::nanoseconds value) {
  const std::uint64_t nanoseconds =
      value.count() > 0 ? static_cast<std::uint64_t>(value.count()) : 0;
  ++counts_[BucketOf(nanoseconds)];
  ++count_;
  max_ = std::max(max_, nanoseconds);
}

void Histogram::Add(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    counts_[i] += other.counts_[i];
  }
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::chrono::nanoseconds Histogram::Quantile(double fraction) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets && count_ != 0; ++i) {
    seen += counts_[i];
    if (seen >= wanted && seen > 0) {
      return std::chrono::nanoseconds(std::min(EndOf(i), max_));
    }
  }
  return max();
}

}  // namespace kms::tools
