// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/verify_encryption.h"

#include <gtest/gtest.h>

#include "kms/operations/generate_data_key.h"
#include "kms/operations/rewrap.h"
#include "kms/operations/usage.h"
#include "tests/support/matchers.h"
#include "tests/support/message_keys.h"

namespace kms {
namespace {

using testing::Decrypted;
using testing::Encrypted;
using testing::HasError;
using testing::IsOk;
using testing::MakeKey;
using testing::PolicyOf;

TEST(VerifyEncryption, PassesWhatDecryptsToTheSame) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kChaCha20Poly1305)));
  const MessageBinding binding{.associated_data = AsBytes("row")};
  KMS_ASSERT_OK_AND_ASSIGN(
      const std::string ciphertext,
      Encrypted(key, {.plaintext = AsBytes("text"), .associated_data = AsBytes("row")}));
  EXPECT_THAT(VerifyEncryption(key, ciphertext, binding, AsBytes("text")), IsOk());
}

TEST(VerifyEncryption, EveryFaultIsOneOfOurs) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string ciphertext,
                           Encrypted(key, {.plaintext = AsBytes("text"), .associated_data = {}}));
  for (const char* other : {"", "tex", "texts", "Text"}) {
    EXPECT_THAT(VerifyEncryption(key, ciphertext, {}, AsBytes(other)),
                HasError(ErrorCode::kInternal, "internal error"));
  }
  for (std::size_t at = 0; at < ciphertext.size(); ++at) {
    std::string damaged = ciphertext;
    damaged[at] = static_cast<char>(damaged[at] ^ 2);
    EXPECT_THAT(VerifyEncryption(key, damaged, {}, AsBytes("text")),
                HasError(ErrorCode::kInternal))
        << at;
  }
}

// A damaged private key stands for any fault between plaintext and answer.
TEST(VerifyEncryption, WithholdsWhatWouldNotDecrypt) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key good, testing::MakeFreshKey(PolicyOf(KeyType::kRsa2048)));
  KMS_ASSERT_OK_AND_ASSIGN(const Key damaged, testing::DamagedCopyOf(good));
  EXPECT_THAT(Encrypted(damaged, {.plaintext = AsBytes("text"), .associated_data = {}}), IsOk());
  std::string out = "before";
  EXPECT_THAT(
      Encrypt(damaged, {.plaintext = AsBytes("text"), .associated_data = {}, .verify = true}, out),
      HasError(ErrorCode::kInternal));
  PlaintextBuffer data_key;
  EXPECT_THAT(GenerateDataKey(damaged, {.associated_data = {}, .verify = true}, data_key, out),
              HasError(ErrorCode::kInternal));
  EXPECT_EQ(data_key.size(), 0U);
  EXPECT_EQ(out, "before");
}

TEST(VerifyEncryption, RefusesAPublicHalfBeforeItEncrypts) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key pair, testing::MakeFreshKey(PolicyOf(KeyType::kRsa2048)));
  KMS_ASSERT_OK_AND_ASSIGN(const Key half, testing::PublicHalfOf(pair));
  EXPECT_THAT(
      Encrypted(half, {.plaintext = AsBytes("x"), .associated_data = {}, .verify = true}),
      HasError(ErrorCode::kInvalidArgument,
               "this environment verifies what it encrypts (verify_encrypt), which the key version "
               "cannot: it has no private counterpart"));
}

// ---- counting ----------------------------------------------------------------------------------

TEST(Encrypt, C3_TakesOneUseOfItsVersionAndStopsWhenNothingIsLeased) {
  KMS_ASSERT_OK_AND_ASSIGN(Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 2)));
  const auto first = std::make_shared<UsageCounter>(10);
  const auto second = std::make_shared<UsageCounter>(0);
  first->Extend(12);
  second->Extend(1);
  key.AttachUsage({first, second});
  const auto encrypt = [&key](std::int64_t version) {
    return Encrypted(key, {.plaintext = AsBytes("text"),
                           .associated_data = {},
                           .key_version = version,
                           .verify = true});
  };
  KMS_ASSERT_OK_AND_ASSIGN(const std::string latest, encrypt(0));
  EXPECT_EQ(second->used(), 1U);
  EXPECT_EQ(first->used(), 10U);
  const auto refused = encrypt(0);
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(IsUsageLeaseUsedUp(refused.error()));
  EXPECT_THAT(encrypt(1), IsOk());
  EXPECT_THAT(encrypt(3), HasError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(first->used(), 11U);
  EXPECT_THAT(Decrypted(key, {.ciphertext = latest, .associated_data = {}}), IsOk());
  std::string rewrapped;
  const auto renewed = Rewrap(key, {.ciphertext = latest, .associated_data = {}}, rewrapped);
  ASSERT_FALSE(renewed.has_value());
  EXPECT_TRUE(IsUsageLeaseUsedUp(renewed.error()));
  EXPECT_EQ(rewrapped, "");
}

}  // namespace
}  // namespace kms
