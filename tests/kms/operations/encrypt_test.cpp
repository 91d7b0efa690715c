// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/encrypt.h"

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
using ::testing::StartsWith;

Key WorkingSetKey() {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 6);
  policy.min_available_version = 1;
  policy.min_decryption_version = 2;
  policy.min_encryption_version = 4;
  return *MakeKey(policy);
}

Result<KeyVersionNumber> EncryptUnder(const Key& key, std::int64_t version) {
  std::string ciphertext;
  Result<KeyVersionNumber> used =
      Encrypt(key, {.plaintext = AsBytes("x"), .key_version = version}, ciphertext);
  if (used.has_value()) {
    EXPECT_THAT(ciphertext, StartsWith("vault:v" + std::to_string(*used) + ":"));
  } else {
    EXPECT_EQ(ciphertext, "");
  }
  return used;
}

TEST(Encrypt, UsesTheLatestVersionUnlessAsked) {
  const Key key = WorkingSetKey();
  EXPECT_THAT(EncryptUnder(key, 0), IsOkAndHolds(6U));
  EXPECT_THAT(EncryptUnder(key, 4), IsOkAndHolds(4U));
  EXPECT_THAT(EncryptUnder(key, 5), IsOkAndHolds(5U));
}

TEST(Encrypt, C5_RefusesVersionsWithTheContractsWords) {
  const Key key = WorkingSetKey();
  const std::pair<std::int64_t, const char*> cases[] = {
      {-1, "requested version for encryption is negative"},
      {INT64_MIN, "requested version for encryption is negative"},
      {7, "requested version for encryption is higher than the latest key version"},
      {std::int64_t{1} << 32U,
       "requested version for encryption is higher than the latest key version"},
      {(std::int64_t{1} << 32U) + 5,
       "requested version for encryption is higher than the latest key version"},
      {INT64_MAX, "requested version for encryption is higher than the latest key version"},
      {3, "requested version for encryption is less than the minimum encryption key version"},
      {1, "requested version for encryption is less than the minimum encryption key version"}};
  for (const auto& [version, message] : cases) {
    EXPECT_THAT(EncryptUnder(key, version), HasError(ErrorCode::kInvalidArgument, message))
        << version;
  }
}

TEST(Encrypt, ArchivedVersionIsNoSuchVersion) {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 3);
  policy.min_decryption_version = 2;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy));
  EXPECT_THAT(EncryptUnder(key, 1), HasError(ErrorCode::kInvalidArgument, "no such key version"));
  EXPECT_THAT(EncryptUnder(key, 2), IsOkAndHolds(2U));
}

TEST(Encrypt, AppendsToTheOutput) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  std::string output = "before,";
  ASSERT_THAT(Encrypt(key, {.plaintext = AsBytes("x")}, output), IsOk());
  EXPECT_THAT(output, StartsWith("before,vault:v1:"));
  EXPECT_EQ(output.size(), 7U + 9U + 40U);  // base64 of 12 + 1 + 16 bytes
}

TEST(Encrypt, GivesFreshNoncesForOneMessage) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  std::set<std::string> nonces;
  constexpr int kCount = 5000;
  for (int round = 0; round < kCount; ++round) {
    std::string ciphertext;
    ASSERT_THAT(Encrypt(key, {.plaintext = AsBytes("same")}, ciphertext), IsOk());
    nonces.insert(ciphertext.substr(9, 16));
  }
  EXPECT_EQ(nonces.size(), std::size_t{kCount});
}

TEST(Encrypt, EverySizeComesBack) {
  for (const KeyTypeTraits& traits : testing::AeadKeyTypes()) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(traits.type)));
    PlaintextBuffer plaintext;
    for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 1000U, 65536U, 3U << 20U, 5U, 0U}) {
      const Bytes message = testing::CountingBytes(size, 7);
      const Bytes associated_data = testing::CountingBytes(size % 50);
      std::string ciphertext;
      ASSERT_THAT(
          Encrypt(key, {.plaintext = message, .associated_data = associated_data}, ciphertext),
          IsOkAndHolds(1U));
      ASSERT_THAT(
          Decrypt(key, {.ciphertext = ciphertext, .associated_data = associated_data}, plaintext),
          IsOkAndHolds(1U));
      ASSERT_TRUE(std::ranges::equal(plaintext.View(), message)) << traits.name << " " << size;
    }
  }
}

}  // namespace
}  // namespace kms
