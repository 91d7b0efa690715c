// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/raise_usage.h"

#include "kms/operations/key_usage.h"
#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::EncryptUnder;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

constexpr std::uint64_t kLimit = 10'000'000;

class RaiseUsageTest : public ::testing::Test {
 protected:
  RaiseUsageTest() {
    world_.limits.max_encryptions_per_version = kLimit;
    world_.Restart();
  }
  std::uint64_t Recorded(std::string_view name, KeyVersionNumber version) {
    const KeyHandle key = world_.Find(name);
    const auto entry = world_.environment().store().Get(UsagePath(key->policy().incarnation));
    EXPECT_THAT(entry, IsOk());
    if (!entry.has_value() || !*entry) {
      return 0;
    }
    auto recorded = DecodeUsage((*entry)->value.View()).value();
    return recorded[version];
  }
  KeyVersionNumber EncryptWithLatest(std::string_view name) {
    std::string ciphertext;
    const auto used = EncryptUnder(world_.environment(), name, "m", ciphertext, 0);
    EXPECT_THAT(used, IsOk());
    return used.value_or(0);
  }

  KeyWorld world_;
};

TEST_F(RaiseUsageTest, D12_EveryVersionCountsWhatLostCommitsMayHaveLeased) {
  world_.CreateVersions(3);
  world_.Create("unused");
  const std::uint64_t before = Recorded("app", 3);

  ASSERT_THAT(RaiseUsage(world_.environment(), 7), IsOk());

  const std::uint64_t more = 7 * LargestLease(kLimit);
  EXPECT_EQ(Recorded("app", 3), before + more);
  EXPECT_GE(Recorded("app", 1), more);
  EXPECT_EQ(Recorded("unused", 1), more);
}

TEST_F(RaiseUsageTest, D12_AVersionThatMayBeUsedUpIsRotatedByItsNextEncryption) {
  world_.Create();
  ASSERT_THAT(RaiseUsage(world_.environment(), UINT64_MAX), IsOk());
  EXPECT_EQ(Recorded("app", 1), kLimit);
  EXPECT_EQ(EncryptWithLatest("app"), 2U);
}

TEST_F(RaiseUsageTest, D12_KeysInUseGoOnCountingFromThere) {
  world_.Create();
  EXPECT_EQ(EncryptWithLatest("app"), 1U);
  const std::uint64_t before = Recorded("app", 1);
  ASSERT_THAT(RaiseUsage(world_.environment(), 1), IsOk());
  for (int i = 0; i < 3000; ++i) {  // past the range leased before
    EncryptWithLatest("app");
  }
  EXPECT_GT(Recorded("app", 1), before + LargestLease(kLimit));
}

TEST_F(RaiseUsageTest, D2_WhatFailsHalfWayMayBeRepeated) {
  for (int key = 0; key < 450; ++key) {  // three pages
    world_.Create("key" + std::to_string(1000 + key));
  }
  world_.store.FailCommit(2);
  EXPECT_THAT(RaiseUsage(world_.environment(), 1), HasError(ErrorCode::kUnavailable));
  ASSERT_THAT(RaiseUsage(world_.environment(), 1), IsOk());
  for (int key = 0; key < 450; key += 50) {
    EXPECT_GE(Recorded("key" + std::to_string(1000 + key), 1), LargestLease(kLimit)) << key;
  }
}

TEST_F(RaiseUsageTest, ASealedEnvironmentIsUnavailable) {
  world_.Create();
  world_.environment().Seal("test");
  EXPECT_THAT(RaiseUsage(world_.environment(), 1), HasError(ErrorCode::kUnavailable));
}

}  // namespace
}  // namespace kms
