// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/backup_key.h"

#include <gmock/gmock.h>

#include "kms/operations/restore_key.h"
#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

void AllowBackup(KeyWorld& world, std::string_view name = "app") {
  EXPECT_THAT(ConfigureKey(world.environment(), Name(name),
                           {.min_decryption_version = {},
                            .min_encryption_version = {},
                            .deletion_allowed = true,
                            .exportable = true,
                            .allow_plaintext_backup = true,
                            .auto_rotate_period_seconds = {}}),
              IsOk());
}

std::string BlobOf(KeyWorld& world, std::string_view name = "app") {
  auto outcome = BackUpKey(world.environment(), Name(name));
  EXPECT_THAT(outcome, IsOk());
  return outcome.has_value() ? outcome->blob : std::string();
}

Result<KeyHandle> Restore(KeyWorld& world, std::string_view blob,
                          std::optional<std::string_view> name = std::nullopt,
                          bool force = false) {
  return RestoreKey(world.environment(), {.blob = blob, .name = name, .force = force});
}

TEST(BackUpKey, ARestoredKeyKeepsEveryPromiseInAnotherEnvironment) {
  KeyWorld world;
  world.CreateVersions(5);
  AllowBackup(world);
  ASSERT_THAT(world.Configure(3, 4), IsOk());
  const std::string blob = BlobOf(world);

  KeyWorld other;
  other.promises = world.promises;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle restored, Restore(other, blob));
  EXPECT_EQ(restored->policy().min_encryption_version, 4U);
  EXPECT_EQ(restored->policy().restore_info->version, 5U);
  EXPECT_NE(restored->policy().incarnation, world.Find()->policy().incarnation);
  other.ExpectPromisesKept();
  // The archive came along: lowering the minimum brings the oldest versions back.
  ASSERT_THAT(other.Configure(1, 0), IsOk());
  other.Restart();
  other.ExpectPromisesKept();
}

TEST(BackUpKey, IsRecordedInTheKey) {
  KeyWorld world;
  world.CreateVersions(2);
  AllowBackup(world);
  EXPECT_FALSE(world.Find()->policy().backup_info.has_value());
  BlobOf(world);
  world.Restart();
  ASSERT_TRUE(world.Find()->policy().backup_info.has_value());
  EXPECT_EQ(world.Find()->policy().backup_info->version, 2U);
  EXPECT_EQ(world.Find()->policy().backup_info->time, world.clock.Now());
  world.ExpectPromisesKept();
}

TEST(BackUpKey, NeedsBothPermissionsOfTheKey) {
  KeyWorld world;
  EXPECT_THAT(BackUpKey(world.environment(), Name("app")),
              HasError(ErrorCode::kNotFound, "key \"app\" not found"));
  world.Create();
  EXPECT_THAT(BackUpKey(world.environment(), Name("app")),
              HasError(ErrorCode::kPermissionDenied, "exporting is disallowed on the policy"));
  ASSERT_THAT(ConfigureKey(world.environment(), Name("app"),
                           {.min_decryption_version = {},
                            .min_encryption_version = {},
                            .deletion_allowed = {},
                            .exportable = true,
                            .allow_plaintext_backup = {},
                            .auto_rotate_period_seconds = {}}),
              IsOk());
  EXPECT_THAT(
      BackUpKey(world.environment(), Name("app")),
      HasError(ErrorCode::kPermissionDenied, "plaintext backup is disallowed on the policy"));
}

TEST(RestoreKey, TakesAnotherNameAndLeavesTheOldKeyAlone) {
  KeyWorld world;
  world.CreateVersions(3);
  AllowBackup(world);
  const std::string blob = BlobOf(world);
  EXPECT_THAT(Restore(world, blob),
              HasError(ErrorCode::kAlreadyExists, "key \"app\" already exists"));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle copy, Restore(world, blob, "copy"));
  EXPECT_EQ(copy->policy().name, "copy");
  for (const auto& promise : world.promises) {
    EXPECT_THAT(world.Decrypt(*copy, promise), IsOk());
  }
  world.ExpectPromisesKept();
}

TEST(RestoreKey, ReplacesAKeyWhenForced) {
  KeyWorld world;
  world.CreateVersions(2);
  AllowBackup(world);
  const std::string blob = BlobOf(world);
  EXPECT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle restored, Restore(world, blob, std::nullopt, true));
  EXPECT_EQ(restored->policy().latest_version, 2U);
  EXPECT_EQ(world.Find(), restored);
  world.ExpectPromisesKept();
  world.Restart();
  world.ExpectPromisesKept();
}

TEST(RestoreKey, RefusesBadNamesAndBlobs) {
  KeyWorld world;
  world.Create();
  AllowBackup(world);
  const std::string blob = BlobOf(world);
  EXPECT_THAT(Restore(world, ""),
              HasError(ErrorCode::kInvalidArgument, "'backup' must be supplied"));
  EXPECT_THAT(Restore(world, blob, "a/b"),
              HasError(ErrorCode::kInvalidArgument, "key names cannot be paths"));
  EXPECT_THAT(Restore(world, blob, "-a"), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Restore(world, "!!!!"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("illegal base64")));
  EXPECT_THAT(Restore(world, "bm90IGpzb24="),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("not the JSON of a backup")));
}

// Fail the first, second, … store call of a forced restore: the old key or the new one is there
// whole, never a mixture.
TEST(RestoreKey, FailsWholeAtEveryStoreCall) {
  for (int call = 1;; ++call) {
    KeyWorld world;
    world.CreateVersions(3);
    AllowBackup(world);
    const std::string blob = BlobOf(world);
    EXPECT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
    world.Encrypt();
    const auto before = world.promises;
    world.store.FailCall(call);
    const auto restored = Restore(world, blob, std::nullopt, true);
    world.store.Heal();
    world.Restart();
    const bool replaced = world.Find()->policy().latest_version == 3U;
    if (replaced) {
      world.promises.pop_back();  // version 4 went with the old key
    }
    world.ExpectPromisesKept();
    if (restored.has_value()) {
      EXPECT_TRUE(replaced);
      break;
    }
    ASSERT_LT(call, 50);
  }
}

}  // namespace
}  // namespace kms
