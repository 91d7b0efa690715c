// SPDX-License-Identifier: Apache-2.0
#include "kms/base/clock.h"

#include <gtest/gtest.h>

#include "tests/fakes/manual_clock.h"

namespace kms {
namespace {

TEST(ToRfc3339, FormatsUtcWithNanoseconds) {
  EXPECT_EQ(ToRfc3339(WallTime{std::chrono::nanoseconds{1'767'225'600'000'000'001}}),
            "2026-01-01T00:00:00.000000001Z");
}

// D23: dates before 1970 and beyond 2106.
TEST(ToRfc3339, D23_CoversDatesBeyondThirtyTwoBits) {
  EXPECT_EQ(ToRfc3339(WallTime{std::chrono::seconds{-1}}), "1969-12-31T23:59:59.000000000Z");
  EXPECT_EQ(ToRfc3339(WallTime{std::chrono::seconds{4'294'967'296}}),
            "2106-02-07T06:28:16.000000000Z");
}

TEST(ManualClock, StepsWallAndSteadyApart) {
  testing::ManualClock clock;
  const SteadyTime before = clock.SteadyNow();
  clock.StepWall(std::chrono::hours{-1});
  EXPECT_EQ(clock.SteadyNow(), before);
  clock.Advance(std::chrono::seconds{5});
  EXPECT_EQ(clock.SteadyNow() - before, std::chrono::seconds{5});
}

TEST(ParseRfc3339, ReadsWhatToRfc3339Writes) {
  for (const std::int64_t nanoseconds : {std::int64_t{0}, std::int64_t{1'700'000'000'123'456'789},
                                         std::int64_t{-1}, std::int64_t{951'782'400'000'000'000}}) {
    const WallTime time{std::chrono::nanoseconds(nanoseconds)};
    EXPECT_EQ(ParseRfc3339(ToRfc3339(time)), time) << ToRfc3339(time);
  }
}

TEST(ParseRfc3339, ReadsOffsetsAndFractions) {
  const WallTime noon{std::chrono::sys_days(std::chrono::year(2026) / 1 / 31) +
                      std::chrono::hours(12)};
  for (const char* text : {"2026-01-31T12:00:00Z", "2026-01-31t12:00:00z", "2026-01-31T13:30:00+01:30",
                           "2026-01-31 07:00:00-05:00", "2026-01-31T12:00:00.0Z"}) {
    EXPECT_EQ(ParseRfc3339(text), noon) << text;
  }
  EXPECT_EQ(ParseRfc3339("2026-01-31T12:00:00.5Z"), noon + std::chrono::milliseconds(500));
}

TEST(ParseRfc3339, RefusesEverythingElse) {
  for (const char* text :
       {"", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00.1234567890Z",
        "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00Zx",
        " 2026-01-31T12:00:00Z", "0001-01-01T00:00:00Z", "2262-01-01T00:00:00Z",
        "+026-01-31T12:00:00Z"}) {
    EXPECT_EQ(ParseRfc3339(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace kms
