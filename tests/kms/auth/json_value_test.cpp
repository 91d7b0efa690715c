// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/json_value.h"

#include <string>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

JsonValue Parsed(std::string_view text) { return ParseStrictJson(text).value(); }

TEST(JsonValue, ReadsEveryKind) {
  const JsonValue value =
      Parsed(R"({"a":"x","b":true,"c":-7,"d":1.5,"e":null,"f":[1,"2"],"g":{}})");
  EXPECT_EQ(value.FindString("a"), "x");
  EXPECT_EQ(value.Find("b")->kind, JsonValue::Kind::kBoolean);
  EXPECT_EQ(value.Find("b")->text, "true");
  EXPECT_EQ(value.Find("c")->integer, -7);
  EXPECT_EQ(value.Find("d")->kind, JsonValue::Kind::kFraction);
  EXPECT_EQ(value.Find("e")->kind, JsonValue::Kind::kNull);
  EXPECT_EQ(value.Find("f")->items.size(), 2U);
  EXPECT_TRUE(value.Find("g")->IsObject());
  EXPECT_EQ(value.Find("h"), nullptr);
  EXPECT_EQ(value.FindString("c"), std::nullopt);
}

TEST(JsonValue, U13_OnlyIntegersAreIntegers) {
  for (const char* number : {"1.0", "1e3", "-0.0", "18446744073709551615", "9223372036854775808",
                             "1E2", "123456789012345678901234567890"}) {
    EXPECT_EQ(Parsed(number).kind, JsonValue::Kind::kFraction) << number;
  }
  EXPECT_EQ(Parsed("9223372036854775807").integer, 9223372036854775807);
}

TEST(JsonValue, U14_RefusesANameThatOccursTwiceInOneObject) {
  for (const char* text :
       {R"({"sub":"a","sub":"b"})", R"({"sub":"a","sub":"a"})", R"({"x":{"sub":1,"sub":2}})",
        R"([{"a":1,"a":1}])", R"({"sub":"a","\u0073ub":"b"})"}) {
    EXPECT_THAT(ParseStrictJson(text), HasError(ErrorCode::kInvalidArgument, HasSubstr("twice")))
        << text;
  }
  EXPECT_THAT(ParseStrictJson(R"([{"a":1},{"a":1}])"), IsOk());
}

TEST(JsonValue, RefusesWhatIsNotExactlyOneJsonText) {
  using namespace std::string_literals;
  for (const std::string& text : {""s,
                                  " "s,
                                  "{"s,
                                  "{}{}"s,
                                  "{} x"s,
                                  "{}\0"s,
                                  "{}\0garbage"s,
                                  "\xef\xbb\xbf{}"s,
                                  "{'a':1}"s,
                                  "{\"a\":1,}"s,
                                  "[1,]"s,
                                  "{/**/}"s,
                                  "// x\n{}"s,
                                  "NaN"s,
                                  "Infinity"s,
                                  "01"s,
                                  "+1"s,
                                  "\"a\nb\""s,
                                  "\"\xff\""s,
                                  "\"\xc0\x80\""s,
                                  "\"\xed\xa0\x80\""s,
                                  "\"\\ud800\""s,
                                  "\"\\udc00\\ud800\""s,
                                  "{1:2}"s,
                                  "nul"s,
                                  "1e999"s,
                                  "\"a"s}) {
    EXPECT_THAT(ParseStrictJson(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(JsonValue, BoundsDepthSizeAndNumberOfValues) {
  EXPECT_THAT(ParseStrictJson("[[[[]]]]", {.max_depth = 4}), IsOk());
  EXPECT_THAT(ParseStrictJson("[[[[[]]]]]", {.max_depth = 4}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("deeply")));
  EXPECT_THAT(ParseStrictJson(std::string(100'000, '['), {.max_bytes = 1U << 20U}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("deeply")));
  EXPECT_THAT(ParseStrictJson("[1,2,3]", {.max_values = 3}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("many")));
  EXPECT_THAT(ParseStrictJson("[1,2,3]", {.max_bytes = 6}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("large")));
}

TEST(JsonValue, SaysNothingOfTheDocumentInItsErrors) {
  const Result<JsonValue> refused = ParseStrictJson(R"({"planted":"secret" "x"})");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(Describe(refused.error()), Not(HasSubstr("planted")));
}

TEST(JsonValue, FollowsPointers) {
  const JsonValue value = Parsed(R"({"realm":{"roles":["a","b"]},"a/b":1,"m~n":2,"":3,"0":4})");
  EXPECT_EQ(value.Follow("/realm/roles/1")->text, "b");
  EXPECT_EQ(value.Follow("/a~1b")->integer, 1);
  EXPECT_EQ(value.Follow("/m~0n")->integer, 2);
  EXPECT_EQ(value.Follow("/")->integer, 3);
  EXPECT_EQ(value.Follow("/0")->integer, 4);
  EXPECT_EQ(value.Follow(""), &value);
  for (const char* nowhere : {"realm", "/realm/roles/2", "/realm/roles/01", "/realm/roles/-",
                              "/realm/roles/", "/realm/roles/0/x", "/none/x", "/m~2n", "/m~"}) {
    EXPECT_EQ(value.Follow(nowhere), nullptr) << nowhere;
  }
}

TEST(JsonValue, WritesWhatItReads) {
  const std::string text = R"({"a":[1,true,null,"x\u0001\"é"]})";
  EXPECT_EQ(ToJsonText(Parsed(text)), text);
}

}  // namespace
}  // namespace kms
