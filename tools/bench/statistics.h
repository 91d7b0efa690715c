// SPDX-License-Identifier: Apache-2.0
// Medians with bootstrap intervals: what noisy machines allow to be said about a ratio.
#pragma once

#include <vector>

namespace kms::tools {

struct Interval {
  double median = 0;
  double low = 0;  // 95 % bootstrap interval of the median
  double high = 0;
};

// Zero for no values.
double Median(std::vector<double> values);
// Resamples 2,000 times with a fixed seed: the same values give the same interval.
Interval MedianWithInterval(const std::vector<double>& values);

}  // namespace kms::tools
