// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/lease_options.h"

#include <gtest/gtest.h>

#include <string>

#include "kms/operations/environments.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using kms::testing::HasError;
using kms::testing::IsOkAndHolds;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(LeaseOptions, ReadDurationsAndBareSeconds) {
  EXPECT_THAT(ParseLeaseInterval("250ms"), IsOkAndHolds(milliseconds{250}));
  EXPECT_THAT(ParseLeaseInterval("5s"), IsOkAndHolds(milliseconds{5000}));
  EXPECT_THAT(ParseLeaseInterval("7"), IsOkAndHolds(milliseconds{7000}));
  EXPECT_THAT(ParseLeaseInterval("24h"), IsOkAndHolds(milliseconds{86'400'000}));
  EXPECT_THAT(ParseLeaseGrace("0"), IsOkAndHolds(milliseconds{0}));
  EXPECT_THAT(ParseLeaseGrace("10m"), IsOkAndHolds(milliseconds{600'000}));
  EXPECT_THAT(ParseLeaseGrace("365d"), IsOkAndHolds(milliseconds{std::int64_t{365} * 86'400'000}));
}

TEST(LeaseOptions, OnlyTheGraceMayLastForever) {
  EXPECT_THAT(ParseLeaseGrace("forever"), IsOkAndHolds(kLeaseForever));
  EXPECT_THAT(ParseLeaseInterval("forever"), HasError(ErrorCode::kInvalidArgument));
}

TEST(LeaseOptions, RefuseWhatIsNoDurationOrOutOfRange) {
  for (const char* text : {"", "s", "5 s", "5S", "-1s", "5w", "1.5s", "99ms", "25h", "0",
                           "9223372036854775807s", "99999999999999999999"}) {
    EXPECT_THAT(ParseLeaseInterval(text),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("lease_interval")))
        << text;
  }
  for (const char* text : {"", "Forever", "-1s", "366d", "9223372036854775807d", "1h30m"}) {
    EXPECT_THAT(ParseLeaseGrace(text),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("or \"forever\"")))
        << text;
  }
}

}  // namespace
}  // namespace kms
