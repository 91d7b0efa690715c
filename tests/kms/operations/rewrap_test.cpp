// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rewrap.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::MakeKey;
using testing::PolicyOf;

std::string EncryptText(const Key& key, std::string_view plaintext,
                        std::string_view associated_data, std::int64_t version) {
  std::string ciphertext;
  const Result<KeyVersionNumber> used = Encrypt(key,
                                                {.plaintext = AsBytes(plaintext),
                                                 .associated_data = AsBytes(associated_data),
                                                 .key_version = version},
                                                ciphertext);
  EXPECT_THAT(used, IsOk());
  return ciphertext;
}

TEST(Rewrap, MovesCiphertextToTheLatestVersion) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 3)));
  const std::string old = EncryptText(key, "text", "aad", 1);
  std::string renewed;
  ASSERT_THAT(Rewrap(key, {.ciphertext = old, .associated_data = AsBytes("aad")}, renewed),
              IsOkAndHolds(3U));
  PlaintextBuffer plaintext;
  EXPECT_THAT(Decrypt(key, {.ciphertext = renewed, .associated_data = AsBytes("aad")}, plaintext),
              IsOkAndHolds(3U));
  EXPECT_EQ(AsText(plaintext.View()), "text");
}

TEST(Rewrap, ReencryptsEvenFromLatestToLatest) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  const std::string old = EncryptText(key, "", "", 1);
  std::string renewed;
  ASSERT_THAT(Rewrap(key, {.ciphertext = old, .associated_data = {}}, renewed), IsOkAndHolds(1U));
  EXPECT_NE(renewed, old);
}

TEST(Rewrap, GoesToTheVersionAskedFor) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kChaCha20Poly1305, 3)));
  std::string renewed;
  EXPECT_THAT(
      Rewrap(
          key,
          {.ciphertext = EncryptText(key, "text", "", 1), .associated_data = {}, .key_version = 2},
          renewed),
      IsOkAndHolds(2U));
}

TEST(Rewrap, C5_RefusesATargetBelowTheMinimum) {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 3);
  policy.min_encryption_version = 2;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy));
  const std::string latest = EncryptText(key, "text", "", 3);
  std::string renewed;
  EXPECT_THAT(
      Rewrap(key, {.ciphertext = latest, .associated_data = {}, .key_version = 1}, renewed),
      HasError(ErrorCode::kInvalidArgument,
               "requested version for encryption is less than the minimum encryption key version"));
  EXPECT_EQ(renewed, "");
}

TEST(Rewrap, C6_NeedsTheSameAssociatedData) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  const std::string bound = EncryptText(key, "text", "aad", 1);
  std::string renewed = "kept";
  EXPECT_THAT(Rewrap(key, {.ciphertext = bound, .associated_data = {}}, renewed),
              HasError(ErrorCode::kDecryptionFailed, "cipher: message authentication failed"));
  EXPECT_EQ(renewed, "kept");
}

TEST(Rewrap, PassesOnWhatDecryptRefuses) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  std::string renewed;
  const std::pair<const char*, const char*> cases[] = {
      {"", "invalid ciphertext: no prefix"},
      {"vault:v2:AAAA", "invalid ciphertext: version is too new"},
      {"vault:v1:AA", "invalid ciphertext: could not decode base64"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(Rewrap(key, {.ciphertext = text, .associated_data = {}}, renewed),
                HasError(ErrorCode::kInvalidArgument, message));
  }
}

TEST(Rewrap, MovesLargeMessages) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 2)));
  const Bytes message = testing::CountingBytes(std::size_t{3} << 20U);
  for (int round = 0; round < 2; ++round) {
    const std::string old = EncryptText(key, AsText(message), "", 1);
    std::string renewed;
    ASSERT_THAT(Rewrap(key, {.ciphertext = old, .associated_data = {}}, renewed), IsOkAndHolds(2U));
    PlaintextBuffer plaintext;
    ASSERT_THAT(Decrypt(key, {.ciphertext = renewed, .associated_data = {}}, plaintext), IsOk());
    EXPECT_TRUE(std::ranges::equal(plaintext.View(), message));
  }
}

}  // namespace
}  // namespace kms
