// SPDX-License-Identifier: Apache-2.0
#include "kms/base/base64.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;

// RFC 4648 section 10.
TEST(Base64, MatchesPublishedVectors) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(Base64Encode(AsBytes(plain)), encoded);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes decoded, Base64Decode(encoded, Base64Form::kCanonical));
    EXPECT_EQ(AsText(decoded), plain);
  }
}

TEST(Base64, DecodesEveryLengthAndByte) {
  Bytes bytes;
  for (int length = 0; length < 300; ++length) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes decoded,
                             Base64Decode(Base64Encode(bytes), Base64Form::kCanonical));
    ASSERT_EQ(decoded, bytes);
    bytes.push_back(static_cast<std::uint8_t>(length * 37));
  }
}

TEST(Base64, NamesTheOffsetOfTheFirstBadCharacter) {
  const std::pair<const char*, int> cases[] = {
      {"Zm9v!m9v", 4}, {"Zg=", 3},   {"Zg", 2},       {"Z", 1},       {"=", 0},   {"Zg==Zg==", 4},
      {"Zm8=v", 4},    {"====", 0}, {"Zm9vYg==x", 8}, {"Zm-v", 2}, {"Zm9v=", 4}, {"Zg===", 4}};
  for (const auto& [text, offset] : cases) {
    EXPECT_THAT(Base64Decode(text),
                HasError(ErrorCode::kInvalidArgument,
                         "illegal base64 data at input byte " + std::to_string(offset)))
        << text;
  }
}

TEST(Base64, LenientFormSkipsLineEndsAndTrailingBits) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes lines, Base64Decode("Zm9v\r\nYm\nFy\n"));
  EXPECT_EQ(AsText(lines), "foobar");
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes bits, Base64Decode("Zh=="));
  EXPECT_EQ(AsText(bits), "f");
}

TEST(Base64, CanonicalFormAcceptsOneSpellingOnly) {
  for (const char* text : {"Zh==", "Zm9=", "Zm9v\n", "Zg=\n="}) {
    EXPECT_THAT(Base64Decode(text, Base64Form::kCanonical),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("illegal base64")))
        << text;
  }
}

}  // namespace
}  // namespace kms
