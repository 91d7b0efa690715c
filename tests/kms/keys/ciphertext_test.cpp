// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/ciphertext.h"

#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

constexpr char kNoPrefix[] = "invalid ciphertext: no prefix";
constexpr char kFields[] = "invalid ciphertext: wrong number of fields";
constexpr char kVersion[] = "invalid ciphertext: version number could not be decoded";
constexpr char kBase64[] = "invalid ciphertext: could not decode base64";

TEST(ParseCiphertext, SplitsVersionAndPayload) {
  const std::tuple<const char*, KeyVersionNumber, const char*> cases[] = {
      {"vault:v1:AAAA", 1, "AAAA"},   {"vault:v0:AAAA", 1, "AAAA"},
      {"vault:v12:", 12, ""},         {"vault:v4294967295:x", 4294967295U, "x"},
      {"vault:v3:AA:AA", 3, "AA:AA"}, {"vault:v3::", 3, ":"}};
  for (const auto& [text, version, payload] : cases) {
    KMS_ASSERT_OK_AND_ASSIGN(const ParsedCiphertext parsed, ParseCiphertext(text));
    EXPECT_EQ(parsed.version, version) << text;
    EXPECT_EQ(parsed.payload, payload) << text;
  }
}

TEST(ParseCiphertext, A6_RefusesMalformedTextWithTheContractsWords) {
  const std::pair<std::string, const char*> cases[] = {
      {"", kNoPrefix},
      {"v", kNoPrefix},
      {"vault", kNoPrefix},
      {"vault:", kNoPrefix},
      {"vault:1:AAAA", kNoPrefix},
      {"Vault:v1:AAAA", kNoPrefix},
      {" vault:v1:AAAA", kNoPrefix},
      {"bao:v1:AAAA", kNoPrefix},
      {"AAAA", kNoPrefix},
      {"vault:v", kFields},
      {"vault:v1", kFields},
      {"vault:vAAAA", kFields},
      {"vault:v:", kVersion},
      {"vault:v:AAAA", kVersion},
      {"vault:v-1:AAAA", kVersion},
      {"vault:v+1:AAAA", kVersion},
      {"vault:v01:AAAA", kVersion},
      {"vault:v00:AAAA", kVersion},
      {"vault:v 1:AAAA", kVersion},
      {"vault:v1 :AAAA", kVersion},
      {"vault:v1x:AAAA", kVersion},
      {"vault:v0x1:AAAA", kVersion},
      {"vault:v1.0:AAAA", kVersion},
      {"vault:v1e1:AAAA", kVersion},
      {"vault:v4294967296:AAAA", kVersion},
      {"vault:v4294967297:AAAA", kVersion},
      {"vault:v99999999999999999999:AAAA", kVersion},
      {std::string("vault:v1\0:AAAA", 14), kVersion}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(ParseCiphertext(text), HasError(ErrorCode::kInvalidArgument, message)) << text;
  }
}

TEST(CheckCiphertextVersion, ComparesWithThePolicy) {
  KeyPolicy policy;
  policy.min_decryption_version = 3;
  policy.latest_version = 5;
  for (const KeyVersionNumber version : {3U, 4U, 5U}) {
    EXPECT_THAT(CheckCiphertextVersion({.version = version, .payload = {}}, policy), IsOk());
  }
  for (const KeyVersionNumber version : {1U, 2U}) {
    EXPECT_THAT(CheckCiphertextVersion({.version = version, .payload = {}}, policy),
                HasError(ErrorCode::kInvalidArgument,
                         "ciphertext or signature version is disallowed by policy (too old)"));
  }
  for (const KeyVersionNumber version : {6U, 4294967295U}) {
    EXPECT_THAT(CheckCiphertextVersion({.version = version, .payload = {}}, policy),
                HasError(ErrorCode::kInvalidArgument, "invalid ciphertext: version is too new"));
  }
}

Result<Bytes> Decode(std::string_view payload) {
  Bytes out(Base64DecodedBound(payload.size()));
  out.resize(KMS_TRY(DecodeCiphertextPayload(payload, out)));
  return out;
}

TEST(CiphertextPayload, A5_SkipsLineEndsAnywhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},          {"Zg==", "f"},          {"Zm8=", "fo"},
      {"Zm9v", "foo"},   {"Zm9v\n", "foo"},      {"Zg=\r\n=", "f"},
      {"Z\ng==\n", "f"}, {"\r\nZm8=\r\n", "fo"}, {"Zm\n9vYm\nFy", "foobar"},
      {"\n", ""}};
  for (const auto& [payload, expected] : cases) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes decoded, Decode(payload));
    EXPECT_EQ(AsText(decoded), expected) << payload;
  }
}

TEST(CiphertextPayload, A5_RefusesEveryOtherSpelling) {
  const std::string cases[] = {"Zg",
                               "Zg=",
                               "Zm8",
                               "Z",
                               "=",
                               "====",  // padding
                               "Zh==",
                               "Zm9=",
                               "Zh=\n=",
                               "Zm9=\n",  // bits after the end
                               "Zm-_",
                               "Zm9v-",
                               "Zm+_",  // the URL alphabet
                               "Zm9v ",
                               " Zm9v",
                               "Zm\t9v",
                               "Zm9v:",
                               "Zg==Zg==",
                               "Zm9v=",  // other characters
                               std::string("Zm9v\0", 5)};
  for (const std::string& payload : cases) {
    EXPECT_THAT(Decode(payload), HasError(ErrorCode::kInvalidArgument, kBase64)) << payload;
  }
}

TEST(AppendCiphertext, WritesWhatParseReads) {
  std::string text = "before ";
  AppendCiphertext(4294967295U, AsBytes("foob"), text);
  EXPECT_EQ(text, "before vault:v4294967295:Zm9vYg==");
  text.clear();
  AppendCiphertext(1, {}, text);
  EXPECT_EQ(text, "vault:v1:");
}

}  // namespace
}  // namespace kms
