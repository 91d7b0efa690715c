// SPDX-License-Identifier: Apache-2.0
// The generator's histogram and statistics: exact where they promise it, close elsewhere.
#include "tools/bench/histogram.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tools/bench/statistics.h"

namespace kms::tools {
namespace {

using std::chrono::nanoseconds;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.Quantile(0.99), nanoseconds(0));
}

TEST(Histogram, IsExactForSmallValues) {
  Histogram histogram;
  for (int i = 0; i < 64; ++i) {
    histogram.Record(nanoseconds(i));
  }
  EXPECT_EQ(histogram.Quantile(0.5), nanoseconds(31));
  EXPECT_EQ(histogram.Quantile(1.0), nanoseconds(63));
}

TEST(Histogram, StaysWithinThreePercentForEveryMagnitude) {
  for (std::int64_t value = 1; value < (std::int64_t{1} << 61); value = value * 3 + 1) {
    Histogram histogram;
    histogram.Record(nanoseconds(value));
    histogram.Record(nanoseconds(std::int64_t{1} << 62));
    EXPECT_THAT(static_cast<double>(histogram.Quantile(0.5).count()),
                AllOf(Ge(static_cast<double>(value)), Le(static_cast<double>(value) * 1.035)));
  }
}

TEST(Histogram, NeverReportsMoreThanTheMaximum) {
  Histogram histogram;
  histogram.Record(nanoseconds(1000001));
  EXPECT_EQ(histogram.Quantile(0.999), nanoseconds(1000001));
  EXPECT_EQ(histogram.max(), nanoseconds(1000001));
}

TEST(Histogram, SeesOneStallInAThousand) {
  Histogram histogram;
  for (int i = 0; i < 998; ++i) {
    histogram.Record(nanoseconds(1000));
  }
  histogram.Record(nanoseconds(50000000));
  histogram.Record(nanoseconds(50000000));
  EXPECT_LT(histogram.Quantile(0.99), nanoseconds(1100));
  EXPECT_EQ(histogram.Quantile(0.999), nanoseconds(50000000));
}

TEST(Histogram, CountsANegativeLatencyAsZero) {
  Histogram histogram;
  histogram.Record(nanoseconds(-5));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
  EXPECT_EQ(histogram.count(), 1U);
}

TEST(Histogram, AddsUpAsIfOneHadRecordedAll) {
  Histogram a;
  Histogram b;
  Histogram all;
  for (int i = 1; i <= 1000; ++i) {
    (i % 2 == 0 ? a : b).Record(nanoseconds(i * 777));
    all.Record(nanoseconds(i * 777));
  }
  a.Add(b);
  EXPECT_EQ(a.count(), all.count());
  EXPECT_EQ(a.max(), all.max());
  EXPECT_EQ(a.Quantile(0.9), all.Quantile(0.9));
}

TEST(Statistics, MedianIsTheMiddleOrTheMeanOfTwo) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
}

TEST(Statistics, IntervalHoldsTheMedianAndIsRepeatable) {
  const std::vector<double> values = {0.9, 1.1, 1.0, 1.05, 0.95, 1.2, 0.8};
  const Interval first = MedianWithInterval(values);
  const Interval second = MedianWithInterval(values);
  EXPECT_EQ(first.median, 1.0);
  EXPECT_THAT(first.low, AllOf(Ge(0.8), Le(first.median)));
  EXPECT_THAT(first.high, AllOf(Ge(first.median), Le(1.2)));
  EXPECT_EQ(first.low, second.low);
  EXPECT_EQ(first.high, second.high);
}

TEST(Statistics, IntervalOfEqualValuesHasNoWidth) {
  const Interval interval = MedianWithInterval({2, 2, 2, 2});
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 2);
}

}  // namespace
}  // namespace kms::tools
