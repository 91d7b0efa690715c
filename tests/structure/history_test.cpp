// SPDX-License-Identifier: Apache-2.0
// The history checker itself: it must find what it is built to find.
#include "tests/support/history.h"

#include <gmock/gmock.h>

namespace kms::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::chrono::steady_clock::time_point At(int moment) {
  return std::chrono::steady_clock::time_point{std::chrono::seconds{moment}};
}

RotateEvent Rotated(int start, int end, std::uint32_t version) {
  return {At(start), At(end), version, Outcome::kOk};
}

TEST(History, AcceptsOverlappingRotationsAndUnknownOutcomes) {
  History history;
  history.Add("k", Rotated(0, 5, 3));
  history.Add("k", Rotated(1, 4, 2));
  history.Add("k", RotateEvent{At(6), At(7), 0, Outcome::kUnknown});
  history.Add("k", EncryptEvent{At(4), At(8), 3, "", ""});
  EXPECT_THAT(history.Check({{"k", 3}}), IsEmpty());
  EXPECT_THAT(history.Check({{"k", 4}}), IsEmpty());
}

TEST(History, FindsARepeatedVersion) {
  History history;
  history.Add("k", Rotated(0, 5, 2));
  history.Add("k", Rotated(0, 5, 2));
  EXPECT_THAT(history.Check({{"k", 3}}), ElementsAre(HasSubstr("two rotations")));
}

TEST(History, FindsALatestThatWentBack) {
  History history;
  history.Add("k", Rotated(0, 1, 2));
  EXPECT_THAT(history.Check({{"k", 1}}), ElementsAre(HasSubstr("went back")));
}

TEST(History, FindsAVersionNobodyAskedFor) {
  History history;
  history.Add("k", Rotated(0, 1, 2));
  history.Add("k", RotateEvent{At(2), At(3), 0, Outcome::kFailed});
  EXPECT_THAT(history.Check({{"k", 3}}), ElementsAre(HasSubstr("only 2 versions")));
}

TEST(History, FindsAStaleEncryption) {
  History history;
  history.Add("k", Rotated(0, 1, 2));
  history.Add("k", EncryptEvent{At(2), At(3), 1, "", ""});
  EXPECT_THAT(history.Check({{"k", 2}}), ElementsAre(HasSubstr("used version 1")));
}

TEST(History, FindsARotationThatReturnedAnOlderVersion) {
  History history;
  history.Add("k", Rotated(0, 1, 3));
  history.Add("k", Rotated(2, 3, 2));
  EXPECT_THAT(history.Check({{"k", 3}}), ElementsAre(HasSubstr("after a higher version")));
}

}  // namespace
}  // namespace kms::testing
