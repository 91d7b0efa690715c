// SPDX-License-Identifier: Apache-2.0
// GuardJson: each limit at its edge, the end of the first value, repeated names.
#include "api/pipeline/json_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/matchers.h"

namespace kms::api {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::IsOkAndHolds;
using ::testing::HasSubstr;

auto Refused(const char* what) {
  return HasError(ErrorCode::kInvalidArgument,
                  std::string("refused JSON input due to high complexity: ") + what);
}

TEST(GuardJson, ReturnsTheFirstValueAndIgnoresTheRest) {
  EXPECT_THAT(GuardJson(R"({"a":[1,"]"]} trailing)", {}), IsOkAndHolds(R"({"a":[1,"]"]})"));
  EXPECT_THAT(GuardJson("null x", {}), IsOkAndHolds("null"));
  EXPECT_THAT(GuardJson(R"("\"" 1)", {}), IsOkAndHolds(R"("\"")"));
}

TEST(GuardJson, RefusesOneLevelMoreThanTheLimit) {
  EXPECT_THAT(GuardJson("[[[]]]", {.max_depth = 3}), IsOk());
  EXPECT_THAT(GuardJson("[[[[]]]]", {.max_depth = 3}), Refused("nested too deeply"));
}

TEST(GuardJson, HasAnUpperBoundWhateverTheLimit) {
  EXPECT_THAT(GuardJson(std::string(100'000, '['), {.max_depth = 1'000'000}),
              Refused("nested too deeply"));
}

TEST(GuardJson, CountsKeysAndValuesAsStrings) {
  EXPECT_THAT(GuardJson(R"({"a":"b"})", {.max_strings = 2}), IsOk());
  EXPECT_THAT(GuardJson(R"({"a":"b","c":1})", {.max_strings = 2}), Refused("too many strings"));
}

TEST(GuardJson, BoundsStringsNumbersContainersAndTokens) {
  EXPECT_THAT(GuardJson(R"(["abc"])", {.max_string_bytes = 3}), IsOk());
  EXPECT_THAT(GuardJson(R"(["abcd"])", {.max_string_bytes = 3}), Refused("a string is too long"));
  EXPECT_THAT(GuardJson("[123]", {.max_number_bytes = 3}), IsOk());
  EXPECT_THAT(GuardJson("[1234]", {.max_number_bytes = 3}), Refused("a number is too long"));
  EXPECT_THAT(GuardJson("[{}]", {.max_containers = 2}), IsOk());
  EXPECT_THAT(GuardJson("[{},{}]", {.max_containers = 2}),
              Refused("too many objects and arrays"));
  EXPECT_THAT(GuardJson("[1,2]", {.max_tokens = 3}), IsOk());
  EXPECT_THAT(GuardJson("[1,2,3]", {.max_tokens = 3}), Refused("too many tokens"));
}

TEST(GuardJson, RefusesUnfinishedValues) {
  for (const char* text : {"", " ", "{", "[", "{\"a\"", "\"", "\"\\", "\"\\\"", "[1,", "}", "]x"}) {
    EXPECT_THAT(GuardJson(text, {}), HasError(ErrorCode::kInvalidArgument,
                                              HasSubstr("failed to decode JSON input")))
        << text;
  }
}

TEST(GuardJson, A2_SeesRepeatedNamesHoweverTheyAreSpelled) {
  for (const char* text : {
           R"({"plaintext":"","plaintext":""})",
           R"({"plaintext":"","plaintext" :""})",
           R"({"plaintext":"","\u0070laintext":""})",
           R"({"a":{"name":1,"b":[],"name":2}})",
           R"([{"ciphertext":1,"x":{"ciphertext":2},"ciphertext":3}])",
       }) {
    EXPECT_THAT(GuardJson(text, {}),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("duplicate key")))
        << text;
  }
}

TEST(GuardJson, A2_DoesNotMistakeValuesAndNeighboursForRepetitions) {
  for (const char* text : {
           R"({"plaintext":"plaintext"})",
           R"([{"plaintext":1},{"plaintext":2}])",
           R"({"name":{"name":{"name":1}}})",
           R"({"other":1,"other":2})",
           R"(["name","name"])",
       }) {
    EXPECT_THAT(GuardJson(text, {}), IsOk()) << text;
  }
}

}  // namespace
}  // namespace kms::api
