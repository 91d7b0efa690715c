// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/lease_settings.h"

#include "tests/support/matchers.h"

namespace kms {
namespace {

using std::chrono::milliseconds;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;

LeaseSettings With(const std::string& interval, const std::string& grace) {
  EnvironmentSettings settings;
  settings.options = {{"lease_interval", interval}, {"lease_grace", grace}};
  return LeaseSettingsOf(settings, {});
}

TEST(LeaseSettings, ReadTimesWithUnitsAndBareSeconds) {
  EXPECT_EQ(With("250ms", "0").interval, milliseconds(250));
  EXPECT_EQ(With("7", "0").interval, milliseconds(7000));
  EXPECT_EQ(With("24h", "0").grace, milliseconds(0));
  EXPECT_EQ(With("1s", "10m").grace, milliseconds(600'000));
  EXPECT_EQ(With("1s", "365d").grace, milliseconds(std::int64_t{365} * 86'400'000));
  EXPECT_EQ(With("1s", "forever").grace, kLeaseForever);
}

TEST(LeaseSettings, WhatDoesNotParseLeavesTheServicesOwn) {
  const EnvironmentsOptions defaults;
  for (const char* text : {"", "s", "5 s", "5S", "-1s", "5w", "1.5s", "99ms", "25h", "0",
                           "99999999999999999999", "forever"}) {
    EXPECT_EQ(With(text, "1s").interval, defaults.lease_interval) << text;
  }
  for (const char* text : {"", "for ever", "366d", "-1"}) {
    EXPECT_EQ(With("1s", text).grace, defaults.lease_grace) << text;
  }
}

TEST(LeaseSettings, AreJudgedWhenTheyAreSet) {
  EXPECT_THAT(CheckLeaseOption("lease_interval", "5s"), IsOk());
  EXPECT_THAT(CheckLeaseOption("lease_grace", "forever"), IsOk());
  EXPECT_THAT(CheckLeaseOption("colour", "blue"), IsOk());
  EXPECT_THAT(CheckLeaseOption("lease_interval", "forever"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("lease_interval")));
  EXPECT_THAT(CheckLeaseOption("lease_grace", "long"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("forever")));
}

}  // namespace
}  // namespace kms
