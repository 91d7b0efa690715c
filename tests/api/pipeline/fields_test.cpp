// SPDX-License-Identifier: Apache-2.0
// Fields: lenient conversion as transit-api 3.1 lists it, and the two warnings of 3.2.
#include "api/pipeline/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/support/matchers.h"

namespace kms::api {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOkAndHolds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::array kSpecs = {
    FieldSpec{.name = "text", .kind = FieldKind::kString, .fallback = "none"},
    FieldSpec{.name = "count", .kind = FieldKind::kInteger, .fallback = "256"},
    FieldSpec{.name = "flag", .kind = FieldKind::kBoolean},
    FieldSpec{.name = "time", .kind = FieldKind::kDuration},
    FieldSpec{.name = "items", .kind = FieldKind::kSlice},
};

Result<Fields> Decode(std::string_view json, std::span<const Capture> captures = {}) {
  JsonBody body = KMS_TRY(JsonBody::Parse(json, {}));
  return Fields::Decode(kSpecs, captures, std::move(body));
}

TEST(Fields, AbsentAndNullMeanTheFallback) {
  for (const char* json : {"{}", "null", "", R"({"text":null,"count":null,"flag":null})"}) {
    const Result<Fields> fields = Decode(json);
    ASSERT_TRUE(fields.has_value()) << json;
    EXPECT_EQ(fields->Text("text"), "none");
    EXPECT_EQ(fields->Integer("count"), 256);
    EXPECT_FALSE(fields->Boolean("flag"));
    EXPECT_FALSE(fields->Has("text"));
    EXPECT_EQ(fields->OptionalInteger("count"), std::nullopt);
    EXPECT_TRUE(fields->Tree("items").is_null());
  }
}

TEST(Fields, IntegersComeInManySpellings) {
  const std::pair<const char*, std::int64_t> rows[] = {
      {"3", 3}, {"-3", -3}, {"3.0", 3}, {R"("3")", 3}, {R"("-3")", -3}, {R"("")", 0},
      {"true", 1}, {"false", 0}, {"9223372036854775807", INT64_MAX}, {"-0", 0}, {"1e3", 1000}};
  for (const auto& [text, number] : rows) {
    const Result<Fields> fields = Decode(R"({"count":)" + std::string(text) + "}");
    ASSERT_TRUE(fields.has_value()) << text;
    EXPECT_EQ(fields->Integer("count"), number) << text;
  }
}

TEST(Fields, WhatIsNoIntegerIsRefusedByName) {
  for (const char* text : {"1.5", R"("x")", R"("1.5")", R"(" 3")", "[]", "{}",
                           "9223372036854775808", "1e300", R"("99999999999999999999")"}) {
    EXPECT_THAT(Decode(R"({"count":)" + std::string(text) + "}"),
                HasError(ErrorCode::kInvalidArgument,
                         "Field validation failed: error converting input for field \"count\": "
                         "expected an integer"))
        << text;
  }
}

TEST(Fields, BooleansComeInManySpellings) {
  for (const char* text : {"true", "1", R"("true")", R"("1")", R"("t")", R"("True")"}) {
    EXPECT_TRUE(Decode(R"({"flag":)" + std::string(text) + "}")->Boolean("flag")) << text;
  }
  for (const char* text : {"false", "0", R"("false")", R"("0")", R"("f")", R"("")"}) {
    EXPECT_FALSE(Decode(R"({"flag":)" + std::string(text) + "}")->Boolean("flag")) << text;
  }
  for (const char* text : {"2", "-1", R"("yes")", "[]"}) {
    EXPECT_FALSE(Decode(R"({"flag":)" + std::string(text) + "}").has_value()) << text;
  }
}

TEST(Fields, NumbersAndBooleansAreRenderedAsTexts) {
  EXPECT_EQ(Decode(R"({"text":7})")->Text("text"), "7");
  EXPECT_EQ(Decode(R"({"text":true})")->Text("text"), "1");
  EXPECT_FALSE(Decode(R"({"text":["a"]})").has_value());
}

TEST(ParseDurationSeconds, TakesSecondsAndGoDurations) {
  EXPECT_THAT(ParseDurationSeconds(""), IsOkAndHolds(0));
  EXPECT_THAT(ParseDurationSeconds("90"), IsOkAndHolds(90));
  EXPECT_THAT(ParseDurationSeconds("1h30m"), IsOkAndHolds(5400));
  EXPECT_THAT(ParseDurationSeconds("30d"), IsOkAndHolds(2592000));
  EXPECT_THAT(ParseDurationSeconds("1.5h"), IsOkAndHolds(5400));
  EXPECT_THAT(ParseDurationSeconds("1500ms"), IsOkAndHolds(1));
  for (const char* text : {"-1", "-1h", "1x", "h", "1h2", "9999999999999999999", "1e400h", "..h",
                           "99999999999999999999d"}) {
    EXPECT_THAT(ParseDurationSeconds(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(Fields, WarnsOfUnknownAndReplacedNamesInGoSyntax) {
  const std::array captures = {Capture{.name = "name", .value = "app"}};
  const Result<Fields> fields = Decode(R"({"z":1,"b":2,"name":"other","text":"x"})", captures);
  ASSERT_TRUE(fields.has_value());
  EXPECT_EQ(fields->Text("name"), "app");
  EXPECT_THAT(fields->Warnings(),
              ElementsAre("Endpoint ignored these unrecognized parameters: [b z]",
                          "Endpoint replaced the value of these parameters with the values "
                          "captured from the endpoint's path: [name]"));
  EXPECT_THAT(Decode(R"({"text":"x"})")->Warnings(), IsEmpty());
}

TEST(Fields, SayWhatIsMissing) {
  constexpr std::array kRequired = {
      FieldSpec{.name = "type", .kind = FieldKind::kString, .missing_text = "type, please"}};
  EXPECT_THAT(Fields::Decode(kRequired, {}, JsonBody()),
              HasError(ErrorCode::kInvalidArgument, "type, please"));
}

TEST(JsonBody, ReadsFormsAndMakesArraysOfRepeatedNames) {
  const auto body = JsonBody::ParseForm("a=1&b=x+y%21&a=2&&c", {});
  ASSERT_TRUE(body.has_value());
  EXPECT_EQ(body->root().Find("a").size(), 2U);
  EXPECT_EQ(body->root().Find("a").At(1).String(), "2");
  EXPECT_EQ(body->root().Find("b").String(), "x y!");
  EXPECT_EQ(body->root().Find("c").String(), "");
  for (const char* text : {"a=%", "a=%1", "a=%zz", "plaintext=1&plaintext=2"}) {
    EXPECT_THAT(JsonBody::ParseForm(text, {}), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(JsonBody, AcceptsOnlyObjectsAndNothing) {
  for (const char* text : {"", "  ", "null", "{}", " {\"a\":1} x"}) {
    EXPECT_TRUE(JsonBody::Parse(text, {}).has_value()) << text;
  }
  for (const char* text : {"[]", "1", "\"a\"", "true", "nul", "nullx", "{\"a\":\"\xFF\"}"}) {
    EXPECT_THAT(JsonBody::Parse(text, {}), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace kms::api
