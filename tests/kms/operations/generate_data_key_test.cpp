// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/generate_data_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "kms/operations/decrypt.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::MakeKey;
using testing::PolicyOf;

TEST(GenerateDataKey, EncryptsTheKeyItHandsOut) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 2)));
  for (const std::int64_t bits : {128, 256, 512}) {
    PlaintextBuffer data_key;
    std::string ciphertext;
    ASSERT_THAT(GenerateDataKey(key, {.bits = bits, .associated_data = AsBytes("aad")}, data_key,
                                ciphertext),
                IsOkAndHolds(2U));
    EXPECT_EQ(data_key.size(), static_cast<std::size_t>(bits) / 8);
    PlaintextBuffer opened;
    ASSERT_THAT(Decrypt(key, {.ciphertext = ciphertext, .associated_data = AsBytes("aad")}, opened),
                IsOkAndHolds(2U));
    EXPECT_TRUE(std::ranges::equal(opened.View(), data_key.View()));
  }
}

TEST(GenerateDataKey, NeverHandsOutTheSameKeyTwice) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  std::set<std::string> seen;
  PlaintextBuffer data_key;
  for (int round = 0; round < 1000; ++round) {
    std::string ciphertext;
    ASSERT_THAT(GenerateDataKey(key, {.associated_data = {}}, data_key, ciphertext), IsOk());
    seen.insert(std::string(AsText(data_key.View())));
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(GenerateDataKey, RefusesOtherLengths) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  PlaintextBuffer data_key;
  std::string ciphertext;
  for (const std::int64_t bits : {std::int64_t{0}, std::int64_t{-256}, std::int64_t{192},
                                  std::int64_t{255}, std::int64_t{1024}, INT64_MAX, INT64_MIN}) {
    EXPECT_THAT(GenerateDataKey(key, {.bits = bits, .associated_data = {}}, data_key, ciphertext),
                HasError(ErrorCode::kInvalidArgument, "invalid bit length"));
  }
  EXPECT_EQ(ciphertext, "");
}

TEST(GenerateDataKey, LeavesNoKeyBehindWhenItCannotEncryptIt) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  PlaintextBuffer data_key;
  std::string ciphertext;
  EXPECT_THAT(GenerateDataKey(key, {.associated_data = {}, .key_version = 2}, data_key, ciphertext),
              HasError(ErrorCode::kInvalidArgument,
                       "requested version for encryption is higher than the latest key version"));
  EXPECT_EQ(data_key.size(), 0U);
  EXPECT_EQ(ciphertext, "");
}

}  // namespace
}  // namespace kms
