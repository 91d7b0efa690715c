// SPDX-License-Identifier: Apache-2.0
// Median and percentile bootstrap.
#include "tools/bench/statistics.h"

#include <algorithm>
#include <cstddef>
#include <random>

namespace kms::tools {

double Median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Interval MedianWithInterval(const std::vector<double>& values) {
  if (values.empty()) {
    return {};
  }
  constexpr std::size_t kResamples = 2000;
  std::mt19937_64 random(20240501);
  std::uniform_int_distribution<std::size_t> pick(0, values.size() - 1);
  std::vector<double> medians;
  std::vector<double> sample(values.size());
  for (std::size_t i = 0; i < kResamples; ++i) {
    std::ranges::generate(sample, [&] { return values[pick(random)]; });
    medians.push_back(Median(sample));
  }
  std::ranges::sort(medians);
  return {Median(values), medians[kResamples * 25 / 1000], medians[kResamples * 975 / 1000 - 1]};
}

}  // namespace kms::tools
