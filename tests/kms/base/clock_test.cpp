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

}  // namespace
}  // namespace kms
