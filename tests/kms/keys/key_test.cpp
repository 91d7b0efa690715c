// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::KnownVersion;
using testing::MakeKey;
using testing::PolicyOf;

KeyPolicy TrimmedPolicy() {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 9);
  policy.min_available_version = 2;
  policy.min_decryption_version = 4;
  policy.min_encryption_version = 6;
  return policy;
}

TEST(KeyVersion, GeneratesFreshMaterialOfItsType) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion first, KeyVersion::Generate(traits.type, 3, {}));
    KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion second, KeyVersion::Generate(traits.type, 3, {}));
    EXPECT_EQ(first.number, 3U);
    EXPECT_EQ(first.material.size(), traits.key_bytes);
    EXPECT_EQ(first.hmac_key.size(), kHmacKeyBytes);
    EXPECT_FALSE(first.material == second.material);
    EXPECT_FALSE(first.hmac_key == second.hmac_key);
    EXPECT_FALSE(first.material == first.hmac_key);
  }
}

TEST(KeyVersion, ClonesAllOfItself) {
  const KeyVersion version = KnownVersion(KeyType::kAes128Gcm96, 7, 1);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion clone, version.Clone());
  EXPECT_EQ(clone.number, version.number);
  EXPECT_EQ(clone.created, version.created);
  EXPECT_TRUE(clone.material == version.material);
  EXPECT_TRUE(clone.hmac_key == version.hmac_key);
}

TEST(Key, FindsVersionsOfItsWorkingSetOnly) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(TrimmedPolicy()));
  for (const KeyVersionNumber number : {0U, 1U, 2U, 3U, 10U, 4294967295U}) {
    EXPECT_EQ(key.FindVersion(number), nullptr) << number;
    EXPECT_EQ(key.FindAead(number), nullptr) << number;
  }
  for (KeyVersionNumber number = 4; number <= 9; ++number) {
    ASSERT_NE(key.FindVersion(number), nullptr);
    EXPECT_EQ(key.FindVersion(number)->number, number);
    ASSERT_NE(key.FindAead(number), nullptr);
    EXPECT_EQ(key.FindAead(number)->algorithm(), AeadAlgorithm::kAes256Gcm);
  }
}

TEST(Key, ADerivedKeyPreparesNoCipherOfItsMaterial) {
  KeyPolicy policy = TrimmedPolicy();
  policy.derived = true;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy));
  for (KeyVersionNumber number = 0; number <= 10; ++number) {
    EXPECT_EQ(key.FindAead(number), nullptr) << number;
  }
  EXPECT_NE(key.FindVersion(9), nullptr);
}

TEST(Key, RefusesPoliciesThatBreakAnInvariant) {
  using Change = void (*)(KeyPolicy&);
  const Change changes[] = {
      [](KeyPolicy& policy) { policy.name = ""; },
      [](KeyPolicy& policy) { policy.name = "../x"; },
      [](KeyPolicy& policy) { policy.incarnation = Uuid{}; },
      [](KeyPolicy& policy) { policy.convergent_encryption = true; },
      [](KeyPolicy& policy) { policy.auto_rotate_period_seconds = 3599; },
      [](KeyPolicy& policy) { policy.auto_rotate_period_seconds = -1; },
      [](KeyPolicy& policy) { policy.min_decryption_version = 0; },
      [](KeyPolicy& policy) { policy.min_decryption_version = 10; },
      [](KeyPolicy& policy) { policy.min_available_version = 5; },
      [](KeyPolicy& policy) { policy.min_encryption_version = 3; },
      [](KeyPolicy& policy) { policy.min_encryption_version = 10; },
      [](KeyPolicy& policy) { policy.min_encryption_version = 0; },
      [](KeyPolicy& policy) { policy.latest_version = 5; },
      [](KeyPolicy& policy) { policy.latest_version = 0; },
  };
  ASSERT_THAT(MakeKey(TrimmedPolicy()), IsOk());
  for (std::size_t index = 0; index < std::size(changes); ++index) {
    KeyPolicy policy = TrimmedPolicy();
    changes[index](policy);
    std::vector<KeyVersion> versions;
    for (KeyVersionNumber number = policy.min_decryption_version; number <= policy.latest_version;
         ++number) {
      versions.push_back(KnownVersion(policy.type, number));
    }
    EXPECT_THAT(Key::Create(policy, std::move(versions)), HasError(ErrorCode::kCorrupted)) << index;
  }
}

TEST(Key, RefusesWorkingSetsThatDoNotFitThePolicy) {
  using Change = void (*)(std::vector<KeyVersion>&);
  const Change changes[] = {
      [](std::vector<KeyVersion>& versions) { versions.clear(); },
      [](std::vector<KeyVersion>& versions) { versions.pop_back(); },
      [](std::vector<KeyVersion>& versions) { versions.erase(versions.begin()); },
      [](std::vector<KeyVersion>& versions) {
        versions.push_back(KnownVersion(KeyType::kAes256Gcm96, 4));
      },
      [](std::vector<KeyVersion>& versions) { std::swap(versions[0], versions[1]); },
      [](std::vector<KeyVersion>& versions) { versions[1].number = 1; },
      [](std::vector<KeyVersion>& versions) { versions[2].material = *SecretBytes::OfSize(16); },
      [](std::vector<KeyVersion>& versions) { versions[2].material = SecretBytes(); },
      [](std::vector<KeyVersion>& versions) { versions[2].hmac_key = *SecretBytes::OfSize(31); },
  };
  for (std::size_t index = 0; index < std::size(changes); ++index) {
    std::vector<KeyVersion> versions;
    for (KeyVersionNumber number = 1; number <= 3; ++number) {
      versions.push_back(KnownVersion(KeyType::kAes256Gcm96, number));
    }
    changes[index](versions);
    EXPECT_THAT(Key::Create(PolicyOf(KeyType::kAes256Gcm96, 3), std::move(versions)),
                HasError(ErrorCode::kCorrupted))
        << index;
  }
}

}  // namespace
}  // namespace kms
