// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace kms {
namespace {

TEST(Glob, AStarStandsForAnyCharacters) {
  EXPECT_TRUE(MatchesGlob("*", ""));
  EXPECT_TRUE(MatchesGlob("a*b*c", "a-b-b-c"));
  EXPECT_TRUE(MatchesGlob("**", "x"));
  EXPECT_TRUE(MatchesGlob("a*a", "aa"));
  EXPECT_FALSE(MatchesGlob("a*a", "a"));
  EXPECT_FALSE(MatchesGlob("", "a"));
  EXPECT_FALSE(MatchesGlob("a?c", "abc"));
  EXPECT_FALSE(MatchesGlob(std::string(30, '*') + "b", std::string(3000, 'a')));
}

TEST(EdgeGlob, AStarIsOneAtTheEndsOnly) {
  EXPECT_TRUE(MatchesEdgeGlob("*", "anything"));
  EXPECT_TRUE(MatchesEdgeGlob("a*", "a"));
  EXPECT_TRUE(MatchesEdgeGlob("*a", "ba"));
  EXPECT_TRUE(MatchesEdgeGlob("*b*", "abc"));
  EXPECT_TRUE(MatchesEdgeGlob("a", "a"));
  EXPECT_FALSE(MatchesEdgeGlob("a", "ab"));
  EXPECT_FALSE(MatchesEdgeGlob("a*", "ba"));
  EXPECT_FALSE(MatchesEdgeGlob("*a", "ab"));
  EXPECT_FALSE(MatchesEdgeGlob("", "a"));
  EXPECT_FALSE(MatchesEdgeGlob("a*b", "axb"));
  EXPECT_TRUE(MatchesEdgeGlob("a*b", "a*b"));
}

}  // namespace
}  // namespace kms
