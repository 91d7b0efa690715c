// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/usage.h"

#include <atomic>
#include <thread>

#include "kms/operations/key_usage.h"
#include "kms/operations/soft_delete_key.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::EncryptUnder;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::MemoryAuditLog;
using testing::Name;

constexpr std::uint64_t kLimit = 1000;

// A world whose versions encrypt at most `limit` times.
void LimitTo(KeyWorld& world, std::uint64_t limit = kLimit) {
  world.limits.max_encryptions_per_version = limit;
  world.Restart();
}

Result<KeyVersionNumber> EncryptOnce(KeyWorld& world, std::int64_t version = 0) {
  std::string ciphertext;
  return EncryptUnder(world.environment(), "app", "m", ciphertext, version);
}

// Encrypts until that is refused or `most` are done; how many were done with `version`.
std::uint64_t EncryptPinned(KeyWorld& world, std::int64_t version, std::uint64_t most = 1 << 20U) {
  std::uint64_t done = 0;
  while (done < most && EncryptOnce(world, version).has_value()) {
    ++done;
  }
  return done;
}

std::uint64_t Encryptions(KeyWorld& world, KeyVersionNumber version) {
  const auto usages = DescribeUsage(world.environment(), *world.Find());
  EXPECT_THAT(usages, IsOk());
  for (const VersionUsage& usage : *usages) {
    if (usage.version == version) {
      return usage.encryptions;
    }
  }
  ADD_FAILURE() << "no usage of version " << version;
  return 0;
}

TEST(Usage, CountsWhatWasEncrypted) {
  KeyWorld world;
  world.Create();
  EXPECT_EQ(Encryptions(world, 1), 0U);

  EXPECT_EQ(EncryptPinned(world, 0, 3000), 3000U);

  EXPECT_EQ(Encryptions(world, 1), 3000U);
}

TEST(Usage, CostsOneCommitForManyEncryptions) {
  KeyWorld world;
  world.Create();
  const int before = world.store.commits();

  EXPECT_EQ(EncryptPinned(world, 0, 80'000), 80'000U);

  // Ranges of 1,024, then four times the last: 1,024 + 4,096 + 16,384 + 65,536.
  EXPECT_EQ(world.store.commits() - before, 4);
}

TEST(Usage, IsTheSameForEverySnapshotOfAKey) {
  KeyWorld world;
  const KeyHandle first = world.Create();
  ASSERT_THAT(EncryptOnce(world), IsOk());
  world.environment().ForgetKey("app");
  const KeyHandle second = world.Find();
  ASSERT_NE(first, second);

  EXPECT_EQ(first->FindUsage(1), second->FindUsage(1));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));
  EXPECT_EQ(rotated->FindUsage(1), first->FindUsage(1));
  EXPECT_NE(rotated->FindUsage(2), first->FindUsage(1));
}

TEST(Usage, C3_ALimitIsExactWhenVersionsArePinned) {
  KeyWorld world;
  LimitTo(world);
  world.Create();

  EXPECT_EQ(EncryptPinned(world, 1), kLimit);

  EXPECT_THAT(EncryptOnce(world, 1),
              HasError(ErrorCode::kInvalidArgument,
                       "encryption under version 1 has reached its limit of 1000 uses; "
                       "rotate the key"));
  EXPECT_EQ(Encryptions(world, 1), kLimit);
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  EXPECT_THAT(EncryptOnce(world, 1),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("encrypt with the latest version")));
}

TEST(Usage, C3_AKeyRotatesByItselfAtTheLimit) {
  KeyWorld world;
  LimitTo(world);
  MemoryAuditLog audit;
  world.environment().set_audit(audit);
  world.Create();
  std::map<KeyVersionNumber, std::uint64_t> by_version;

  for (int i = 0; i < 2500; ++i) {
    KMS_ASSERT_OK_AND_ASSIGN(const KeyVersionNumber version, EncryptOnce(world));
    ++by_version[version];
  }

  EXPECT_EQ(by_version, (std::map<KeyVersionNumber, std::uint64_t>{{1, 1000}, {2, 1000}, {3, 500}}));
  const std::vector<std::string> records = audit.records();
  ASSERT_THAT(records, SizeIs(4));  // attempt and outcome of each
  EXPECT_THAT(records[0], HasSubstr(R"("type":"request")"));
  EXPECT_THAT(records[0], HasSubstr("dev/keys/app/rotate"));
  EXPECT_THAT(records[0], HasSubstr("kmsd auto-rotation (usage limit)"));
  EXPECT_THAT(records[1], HasSubstr(R"("type":"response")"));
}

TEST(Usage, C3_DecryptionIsNeverCountedOrRefused) {
  KeyWorld world;
  LimitTo(world, 10);
  world.Create();
  world.Encrypt();
  EXPECT_EQ(EncryptPinned(world, 1), 9U);

  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(world.Decrypt(*world.Find(), world.promises[0]), IsOk());
  }
  EXPECT_EQ(Encryptions(world, 1), 10U);
}

TEST(Usage, NothingRotatesThatCannotBeRecorded) {
  KeyWorld world;
  LimitTo(world, 10);
  MemoryAuditLog audit;
  world.environment().set_audit(audit);
  world.Create();
  EXPECT_EQ(EncryptPinned(world, 1), 10U);
  audit.RefuseAppends();

  EXPECT_THAT(EncryptOnce(world), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(world.Find()->policy().latest_version, 1U);
}

TEST(Usage, ThousandsAtTheLimitRotateOnce) {
  KeyWorld world;
  LimitTo(world, 64);
  world.Create();
  EXPECT_EQ(EncryptPinned(world, 1), 64U);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 8; ++i) {
        EXPECT_THAT(EncryptOnce(world), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(world.Find()->policy().latest_version, 2U);
  EXPECT_EQ(Encryptions(world, 2), 64U);
}

TEST(Usage, PreparesRoomForAWholeBatch) {
  KeyWorld world;
  LimitTo(world);
  world.CreateVersions(2);
  std::vector<std::int64_t> versions(500, 0);
  versions.resize(600, 1);

  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, PrepareUsage(world.environment(), Name("app"),
                                                             world.Find(), versions));

  EXPECT_TRUE(key->FindUsage(2)->TryTake(500));
  EXPECT_TRUE(key->FindUsage(1)->TryTake(100));
}

TEST(Usage, PassesOverVersionsThatTheEncryptionRefuses) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(world.Configure(2, 3), IsOk());
  const int before = world.store.commits();
  const std::int64_t versions[] = {-1, 1, 2, 4, std::int64_t{1} << 40U};

  EXPECT_THAT(PrepareUsage(world.environment(), Name("app"), world.Find(), versions), IsOk());
  EXPECT_EQ(world.store.commits(), before);
}

TEST(Usage, D31_ACrashWastesCountsAndNeverRepeatsThem) {
  KeyWorld world;
  LimitTo(world);
  world.Create();
  std::uint64_t acknowledged = 0;
  std::uint64_t crashes = 0;
  while (crashes < 2000) {
    const std::uint64_t done = EncryptPinned(world, 1, 1 + crashes % 7);
    acknowledged += done;
    if (done == 0) {
      break;
    }
    EXPECT_GE(Encryptions(world, 1), acknowledged);
    world.Restart();  // what was leased is lost
    ++crashes;
  }

  EXPECT_LE(acknowledged, kLimit);
  EXPECT_GE(crashes, 60U) << "a crash wastes too much";
  EXPECT_THAT(EncryptOnce(world, 1), HasError(ErrorCode::kInvalidArgument));
}

TEST(Usage, D31_TwoNodesShareOneLimit) {
  KeyWorld world;
  LimitTo(world);
  world.Create();
  Environment other{world.environment().identity(), {}, world.store, world.clock, world.limits};
  other.Unseal(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value());
  std::atomic<std::uint64_t> acknowledged = 0;
  const auto encrypt = [&](Environment& environment) {
    std::string ciphertext;
    while (EncryptUnder(environment, "app", "m", ciphertext, 1).has_value()) {
      ++acknowledged;
    }
  };
  std::thread first([&] { encrypt(world.environment()); });
  std::thread second([&] { encrypt(other); });
  first.join();
  second.join();

  EXPECT_LE(acknowledged.load(), kLimit);
  EXPECT_GE(acknowledged.load(), kLimit - 2 * (kLimit / 64));
}

TEST(Usage, D31_AnUnknownOutcomeCountsAsUsed) {
  KeyWorld world;
  LimitTo(world);
  world.Create();
  world.store.LoseNextCommitAnswer();

  ASSERT_THAT(EncryptOnce(world), IsOk());

  EXPECT_EQ(Encryptions(world, 1), 1 + kLimit / 64);
}

TEST(Usage, D31_NothingIsEncryptedThatCannotBeCounted) {
  KeyWorld world;
  world.Create();
  world.store.FailEverything();
  EXPECT_THAT(EncryptOnce(world), HasError(ErrorCode::kUnavailable));
  world.store.Heal();
  world.store.FailCommit(1, ErrorCode::kOutcomeUnknown);
  ASSERT_THAT(EncryptOnce(world), IsOk());
  EXPECT_EQ(Encryptions(world, 1), 1U);
}

TEST(Usage, D30_AReCreatedNameBeginsAnew) {
  KeyWorld world;
  LimitTo(world);
  const KeyHandle old = world.Create();
  EXPECT_EQ(EncryptPinned(world, 1), kLimit);
  ASSERT_THAT(world.Configure(1, 1), IsOk());
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  EXPECT_THAT(world.Stored("usage/"), IsEmpty());

  world.Create();

  EXPECT_EQ(Encryptions(world, 1), 0U);
  EXPECT_EQ(EncryptPinned(world, 1, 5), 5U);
  std::string ciphertext;
  EXPECT_TRUE(IsUsageLeaseUsedUp(
      Encrypt(*old, {.plaintext = {}, .associated_data = {}}, ciphertext).error()));
}

TEST(Usage, ADeletedKeyLeavesNoCounterBehind) {
  KeyWorld world;
  LimitTo(world);
  const KeyHandle old = world.Create();
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  const std::int64_t latest = 0;

  EXPECT_THAT(PrepareUsage(world.environment(), Name("app"), old, std::span(&latest, 1)),
              HasError(ErrorCode::kInvalidArgument, "encryption key not found"));
  EXPECT_THAT(world.Stored("usage/"), IsEmpty());
}

TEST(Usage, ASoftDeletedKeyGetsNoLease) {
  KeyWorld world;
  const KeyHandle key = world.Create();
  ASSERT_THAT(SoftDeleteKey(world.environment(), Name("app")), IsOk());
  const std::int64_t latest = 0;

  EXPECT_THAT(PrepareUsage(world.environment(), Name("app"), key, std::span(&latest, 1)),
              HasError(ErrorCode::kInvalidArgument, "refusing to use soft-deleted key"));
}

TEST(Usage, ASealedEnvironmentLeasesNothing) {
  KeyWorld world;
  const KeyHandle key = world.Create();
  world.environment().Seal("the test says so");
  const std::int64_t latest = 0;

  EXPECT_THAT(PrepareUsage(world.environment(), Name("app"), key, std::span(&latest, 1)),
              HasError(ErrorCode::kUnavailable));
}

TEST(Usage, SurvivesAnOrderlyStopExactly) {
  KeyWorld world;
  world.Create();
  EXPECT_EQ(EncryptPinned(world, 0, 10), 10U);
  ReturnLeases(world.environment(), world.clock.SteadyNow() + std::chrono::seconds(1));
  world.Restart();

  EXPECT_EQ(Encryptions(world, 1), 10U);
}

TEST(Usage, TrimForgetsTheCountsOfDestroyedVersions) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(world.Configure(3, 3), IsOk());
  ASSERT_THAT(TrimKey(world.environment(), Name("app"), 3), IsOk());
  world.Restart();
  ASSERT_THAT(EncryptOnce(world), IsOk());

  const std::string path = world.Stored("usage/").at(0);
  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, world.environment().store().Get(path));
  KMS_ASSERT_OK_AND_ASSIGN(const auto recorded, DecodeUsage(entry->value.View()));
  EXPECT_THAT(recorded, ElementsAre(::testing::Pair(3, 2048)));
}

TEST(Usage, TheLimitGoesDownAndNeverUp) {
  KeyWorld world;
  EXPECT_EQ(world.environment().max_encryptions_per_version(), kMaxEncryptionsPerVersion);
  EnvironmentSettings settings;
  settings.options[std::string(kMaxEncryptionsOption)] = "1000";
  world.environment().ReplaceSettings(settings);
  EXPECT_EQ(world.environment().max_encryptions_per_version(), 1000U);
  settings.options[std::string(kMaxEncryptionsOption)] = "18446744073709551615";
  world.environment().ReplaceSettings(settings);
  EXPECT_EQ(world.environment().max_encryptions_per_version(), kMaxEncryptionsPerVersion);
  LimitTo(world, 10);
  world.environment().ReplaceSettings(settings);
  EXPECT_EQ(world.environment().max_encryptions_per_version(), 10U);
}

TEST(Usage, TellsRateAndDaysLeft) {
  KeyWorld world;
  LimitTo(world);
  world.Create();
  EXPECT_EQ(EncryptPinned(world, 0, 100), 100U);
  world.clock.Advance(std::chrono::hours(48));

  KMS_ASSERT_OK_AND_ASSIGN(const std::vector<VersionUsage> usages,
                           DescribeUsage(world.environment(), *world.Find()));

  ASSERT_THAT(usages, SizeIs(1));
  EXPECT_EQ(usages[0].limit, kLimit);
  EXPECT_DOUBLE_EQ(usages[0].per_day, 50);
  EXPECT_EQ(usages[0].days_left, 18);
}

TEST(Usage, IsNotTheConcernOfKeysThatDoNotEncrypt) {
  KeyWorld world;
  ASSERT_THAT(CreateKey(world.environment(), Name("app"), {.type = KeyType::kEd25519}), IsOk());
  EXPECT_THAT(DescribeUsage(world.environment(), *world.Find()).value(), IsEmpty());
}

TEST(UsageRecord, HasAFrozenForm) {
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes encoded,
                           EncodeUsage({{1, 0x0102030405060708}, {0x0A0B0C0D, 1}}));
  const Bytes frozen = {1,                                                  // format
                        0,    0,    0,    1,    1, 2, 3, 4, 5, 6, 7, 8,     // version, uses
                        0x0A, 0x0B, 0x0C, 0x0D, 0, 0, 0, 0, 0, 0, 0, 1};
  EXPECT_EQ(CopyOf(encoded.View()), frozen);
  KMS_ASSERT_OK_AND_ASSIGN(const auto decoded, DecodeUsage(frozen));
  EXPECT_EQ(decoded.at(1), 0x0102030405060708U);
  EXPECT_EQ(decoded.at(0x0A0B0C0D), 1U);
}

TEST(UsageRecord, RefusesWhatItDidNotMake) {
  const Bytes unordered = {1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1};
  const Bytes zero = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  for (const Bytes& bytes : {Bytes{}, Bytes{1, 0}, unordered, zero}) {
    EXPECT_THAT(DecodeUsage(bytes), HasError(ErrorCode::kCorrupted));
  }
  EXPECT_THAT(DecodeUsage(Bytes{2}), HasError(ErrorCode::kCorrupted, HasSubstr("format 2")));
}

}  // namespace
}  // namespace kms
