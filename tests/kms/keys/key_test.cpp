// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

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
    if (traits.family == KeyFamily::kRsa && traits.type != KeyType::kRsa2048) {
      continue;  // seconds each, and nothing new
    }
    const std::size_t key_size = traits.type == KeyType::kHmac ? 64 : 0;
    KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion first,
                             KeyVersion::Generate(traits.type, 3, {}, key_size));
    KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion second,
                             KeyVersion::Generate(traits.type, 3, {}, key_size));
    EXPECT_EQ(first.number, 3U);
    EXPECT_EQ(first.public_key.empty(), !traits.is_asymmetric());
    if (!traits.is_asymmetric()) {
      EXPECT_EQ(first.material.size(), traits.key_bytes + key_size);
    }
    EXPECT_EQ(first.hmac_key.size(), key_size == 0 ? kHmacKeyBytes : key_size);
    EXPECT_FALSE(first.material == second.material);
    EXPECT_FALSE(first.hmac_key == second.hmac_key);
    EXPECT_EQ(first.material == first.hmac_key, traits.type == KeyType::kHmac);
  }
}

TEST(KeyVersion, ClonesAllOfItself) {
  KeyVersion version = KnownVersion(KeyType::kEd25519, 7, 1);
  version.certificate_chain = {Bytes{1, 2}};
  KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion clone, version.Clone());
  EXPECT_EQ(clone.public_key, version.public_key);
  EXPECT_EQ(clone.certificate_chain, version.certificate_chain);
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

TEST(Key, PreparesTheKeyPairsOfAsymmetricTypes) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (traits.family == KeyFamily::kRsa && traits.type != KeyType::kRsa2048) {
      continue;  // seconds each, and nothing new
    }
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeFreshKey(PolicyOf(traits.type, 2)));
    EXPECT_EQ(key.FindAead(2) != nullptr, traits.family == KeyFamily::kAead);
    const AsymmetricKey* const pair = key.FindAsymmetric(2);
    ASSERT_EQ(pair != nullptr, traits.is_asymmetric()) << traits.name;
    EXPECT_EQ(key.FindAsymmetric(3), nullptr);
    if (pair != nullptr) {
      EXPECT_TRUE(pair->has_private());
      EXPECT_THAT(pair->PublicKey(), testing::IsOkAndHolds(key.FindVersion(2)->public_key));
    }
  }
}

TEST(Key, TakesAVersionOfWhichOnlyThePublicHalfIsKnown) {
  std::vector<KeyVersion> versions;
  versions.push_back(KnownVersion(KeyType::kEd25519, 1));
  versions.front().material = SecretBytes();
  KMS_ASSERT_OK_AND_ASSIGN(const Key key,
                           Key::Create(PolicyOf(KeyType::kEd25519), std::move(versions)));
  EXPECT_FALSE(key.FindAsymmetric(1)->has_private());
}

TEST(Key, RefusesMaterialOfAnotherType) {
  std::vector<KeyVersion> versions;
  versions.push_back(KnownVersion(KeyType::kEd25519, 1));
  EXPECT_THAT(Key::Create(PolicyOf(KeyType::kEcdsaP256), std::move(versions)),
              HasError(ErrorCode::kCorrupted));
}

TEST(Key, CountsThroughTheCountersItWasGiven) {
  KMS_ASSERT_OK_AND_ASSIGN(Key key, MakeKey(TrimmedPolicy()));
  EXPECT_EQ(key.FindUsage(4), nullptr);
  std::vector<std::shared_ptr<UsageCounter>> counters;
  for (const KeyVersion& version : key.versions()) {
    counters.push_back(std::make_shared<UsageCounter>(version.number));
  }
  key.AttachUsage(counters);
  EXPECT_EQ(key.FindUsage(4), counters.front().get());
  EXPECT_EQ(key.FindUsage(9)->used(), 9U);
  EXPECT_EQ(key.FindUsage(10), nullptr);
  EXPECT_EQ(key.FindUsage(3), nullptr);
}

TEST(UsageCounter, GivesNothingThatIsNotLeased) {
  UsageCounter counter(100);
  EXPECT_FALSE(counter.TryTake(1));
  counter.Extend(110);
  EXPECT_TRUE(counter.TryTake(10));
  EXPECT_FALSE(counter.TryTake(1));
  counter.Extend(115);
  EXPECT_FALSE(counter.TryTake(6));
  EXPECT_TRUE(counter.TryTake(5));
  EXPECT_EQ(counter.used(), 115U);
}

TEST(UsageCounter, GivesEachCountOnceToAnyNumberOfThreads) {
  UsageCounter counter(0);
  counter.Extend(50'000);
  std::atomic<int> taken = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (counter.TryTake(1)) {
        ++taken;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(taken, 50'000);
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
      [](KeyPolicy& policy) { policy.key_size = 32; },
      [](KeyPolicy& policy) { policy.imported_allow_rotation = true; },
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
