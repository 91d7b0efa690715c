// SPDX-License-Identifier: Apache-2.0
#include "kms/base/base64url.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;

std::string Encode(ByteView bytes) {
  std::string text = "before:";
  AppendBase64Url(bytes, text);
  return text.substr(7);
}

// RFC 4648 section 10 without padding; RFC 7515 appendix C for the other alphabet.
TEST(Base64Url, MatchesPublishedVectors) {
  const Bytes jws = {3, 236, 255, 224, 193};
  EXPECT_EQ(Encode(jws), "A-z_4ME");
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},         {"f", "Zg"},         {"fo", "Zm8"},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(Encode(AsBytes(plain)), encoded);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes decoded, Base64UrlDecode(encoded));
    EXPECT_EQ(AsText(decoded), plain);
  }
}

TEST(Base64Url, DecodesEveryLengthAndByte) {
  Bytes bytes;
  for (int length = 0; length < 300; ++length) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes decoded, Base64UrlDecode(Encode(bytes)));
    ASSERT_EQ(decoded, bytes);
    bytes.push_back(static_cast<std::uint8_t>(length * 37));
  }
}

TEST(Base64Url, A5_AcceptsOneSpellingOnly) {
  const std::pair<const char*, int> cases[] = {
      {"Zg==", 2},  {"Zm8=", 3},  {"A+z_4ME", 1}, {"A-z/4ME", 3}, {"Zm9v\n", 4}, {"\nZm9v", 0},
      {"Zh", 1},    {"Zm9", 2},   {"Z", 1},       {"Zm9vY", 5},   {"Zm 9v", 2},  {"=", 0}};
  for (const auto& [text, offset] : cases) {
    EXPECT_THAT(Base64UrlDecode(text),
                HasError(ErrorCode::kInvalidArgument,
                         "illegal base64 data at input byte " + std::to_string(offset)))
        << text;
  }
}

TEST(Base64Url, EveryOtherCharacterGivesOtherBytes) {
  std::set<Bytes> seen;
  int accepted = 0;
  for (int character = 0; character < 256; ++character) {
    const std::string text = std::string("AAA") + static_cast<char>(character);
    const auto decoded = Base64UrlDecode(text);
    accepted += decoded.has_value() ? 1 : 0;
    if (decoded.has_value()) {
      EXPECT_TRUE(seen.insert(*decoded).second) << character;
    }
  }
  EXPECT_EQ(accepted, 64);
}

}  // namespace
}  // namespace kms
