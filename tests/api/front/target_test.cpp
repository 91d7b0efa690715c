// SPDX-License-Identifier: Apache-2.0
// The target: what is refused, what is decoded, and the parameters of the query.
#include "api/front/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/front/query.h"
#include "tests/support/matchers.h"

namespace kms::api {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOkAndHolds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string PathOf(std::string_view text) {
  Target target;
  std::string decoded;
  const Refusal refusal = ParseTarget(text, target, decoded);
  if (refusal) {
    return std::to_string(refusal.status) + " " + std::string{refusal.reason};
  }
  return target.escaped ? decoded : std::string{text.substr(0, target.path_bytes)};
}

TEST(Target, DecodesOnce) {
  EXPECT_EQ(PathOf("/"), "/");
  EXPECT_EQ(PathOf("/v1/transit/keys/a"), "/v1/transit/keys/a");
  EXPECT_EQ(PathOf("/v1/transit/keys/%61%2D%5f?list=true"), "/v1/transit/keys/a-_");
  EXPECT_EQ(PathOf("/v1/a%20b"), "/v1/a b");
  EXPECT_EQ(PathOf("/v1/keys/"), "/v1/keys/");
  EXPECT_EQ(PathOf("/v1/..a/.b/c.."), "/v1/..a/.b/c..");
}

TEST(Target, A7_RefusesEveryPathWithTwoReadings) {
  for (const char* text :
       {"",       "v1",           "*",         "http://evil/a", "//a",    "/a//b",
        "/a//",   "/a/%2e%2e/b%", "/a%",       "/a%4",          "/a%4g",  "/a%zz",
        "/%00",   "/a%00b",       "/a%2fb",    "/a%2Fb",        "/a%5cb", "/a\\b",
        "/a%0a",  "/a%7f",        "/a%c3%a9",  "/a%252e",       "/a%25",  "/a#b",
        "/a?b#c", "/\x01",        "/\xc3\xa9", "/a?\x7f"}) {
    EXPECT_EQ(PathOf(text).substr(0, 4), "400 ") << text;
  }
}

TEST(Target, A7_RefusesRelativeSegmentsHoweverWritten) {
  for (const char* text : {"/.", "/..", "/a/./b", "/a/../b", "/a/..", "/a/%2e%2e/b", "/a/.%2e",
                           "/%2e", "/../", "/a/./"}) {
    EXPECT_EQ(PathOf(text), "400 relative paths not supported") << text;
  }
}

TEST(Query, DecodesParameters) {
  EXPECT_THAT(ParseQuery("list=true&after=a%2Fb+c&&flag&x=1=2"),
              IsOkAndHolds(ElementsAre(Pair("list", "true"), Pair("after", "a/b c"),
                                       Pair("flag", ""), Pair("x", "1=2"))));
  EXPECT_THAT(ParseQuery(""), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(QueryParameter("a=1&b=2&b=3", "b"), "2");
  EXPECT_EQ(QueryParameter("a=1", "b"), std::nullopt);
}

TEST(Query, RefusesMalformedAndEndlessParameters) {
  EXPECT_THAT(ParseQuery("a=%"), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(ParseQuery("%zz=1"), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(ParseQuery("a=%00"), HasError(ErrorCode::kInvalidArgument));
  std::string many;
  for (std::size_t i = 0; i <= kMaxQueryParameters; ++i) {
    many += "a&";
  }
  EXPECT_THAT(ParseQuery(many), HasError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(QueryParameter("a=%", "a"), std::nullopt);
}

}  // namespace
}  // namespace kms::api
