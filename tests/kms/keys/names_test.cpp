// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/names.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

TEST(KeyName, AcceptsItsAlphabet) {
  for (const char* text : {"a", "_", "9", "app", "app-1", "a.b", "a..b", "a--b", "A_b-C.9", "__"}) {
    KMS_ASSERT_OK_AND_ASSIGN(const KeyName name, KeyName::Parse(text));
    EXPECT_EQ(name.text(), text);
  }
  EXPECT_THAT(KeyName::Parse(std::string(128, 'k')), IsOk());
}

TEST(KeyName, RefusesEverythingElse) {
  const std::string cases[] = {"",
                               "-",
                               ".",
                               "-a",
                               "a-",
                               ".a",
                               "a.",
                               "a b",
                               "a/b",
                               "a\\b",
                               "..",
                               "a%b",
                               "a\n",
                               "\303\244",
                               "a\303\244b",
                               "a:b",
                               "a*",
                               "a+b",
                               "a?b",
                               "a\x7f"
                               "b",
                               std::string(129, 'k'),
                               std::string("a\0b", 3)};
  for (const std::string& text : cases) {
    EXPECT_THAT(KeyName::Parse(text), HasError(ErrorCode::kInvalidArgument, "invalid key name"))
        << text;
  }
}

TEST(KeyName, AcceptsExactlyTheAlphabetByte) {
  for (int value = 0; value < 256; ++value) {
    const char character = static_cast<char>(value);
    const bool word = (value >= '0' && value <= '9') || (value >= 'A' && value <= 'Z') ||
                      (value >= 'a' && value <= 'z') || value == '_';
    const bool inner = word || value == '-' || value == '.';
    EXPECT_EQ(KeyName::Parse(std::string(1, character)).has_value(), word) << value;
    EXPECT_EQ(KeyName::Parse(std::string("a") + character + "b").has_value(), inner) << value;
  }
}

TEST(EnvironmentName, AcceptsSegments) {
  for (const char* text :
       {"dev", "prod", "transit", "team/prod", "a/b/c/d/e/f/g/h", "sys-1", "systems", "x/sys"}) {
    KMS_ASSERT_OK_AND_ASSIGN(const EnvironmentName name, EnvironmentName::Parse(text));
    EXPECT_EQ(name.text(), text);
  }
  EXPECT_THAT(EnvironmentName::Parse(std::string(256, 'e')), IsOk());
}

TEST(EnvironmentName, DropsOneTrailingSlash) {
  KMS_ASSERT_OK_AND_ASSIGN(const EnvironmentName name, EnvironmentName::Parse("team/prod/"));
  EXPECT_EQ(name.text(), "team/prod");
  EXPECT_THAT(EnvironmentName::Parse("prod//"), HasError(ErrorCode::kInvalidArgument));
}

TEST(EnvironmentName, RefusesEverythingElse) {
  const std::string cases[] = {"",
                               "/",
                               "/prod",
                               "prod//x",
                               "..",
                               "a/../b",
                               "a/.",
                               "a b",
                               "a/b/c/d/e/f/g/h/i",
                               "prod/-",
                               "pro%64",
                               "prod\\dev",
                               std::string(257, 'e')};
  for (const std::string& text : cases) {
    EXPECT_THAT(EnvironmentName::Parse(text),
                HasError(ErrorCode::kInvalidArgument, "invalid environment name"))
        << text;
  }
}

TEST(EnvironmentName, RefusesReservedFirstSegments) {
  for (const char* text : {"sys", "auth", "cubbyhole", "identity", "sys/", "auth/token", "sys/x"}) {
    EXPECT_THAT(EnvironmentName::Parse(text),
                HasError(ErrorCode::kInvalidArgument, "reserved environment name"))
        << text;
  }
}

}  // namespace
}  // namespace kms
