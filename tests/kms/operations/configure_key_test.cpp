// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/configure_key.h"

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

KeyConfigChange Versions(std::optional<std::int64_t> decryption,
                         std::optional<std::int64_t> encryption) {
  KeyConfigChange change;
  change.min_decryption_version = decryption;
  change.min_encryption_version = encryption;
  return change;
}

TEST(ConfigureKey, RaisingTheMinimumTakesVersionsOutOfTheWorkingSet) {
  KeyWorld world;
  world.CreateVersions(5);

  KMS_ASSERT_OK_AND_ASSIGN(const ConfigureKeyOutcome outcome,
                           ConfigureKey(world.environment(), Name("app"), Versions(4, {})));

  EXPECT_EQ(outcome.key->versions().size(), 2U);
  EXPECT_EQ(outcome.key->FindVersion(3), nullptr);
  EXPECT_EQ(world.environment().WarmKey("app"), outcome.key);
  EXPECT_THAT(world.Decrypt(*outcome.key, world.promises[2]),
              HasError(ErrorCode::kInvalidArgument,
                       "ciphertext or signature version is disallowed by policy (too old)"));
  world.ExpectPromisesKept();
}

TEST(ConfigureKey, LoweringTheMinimumBringsVersionsBackFromTheArchive) {
  KeyWorld world;
  world.CreateVersions(5);
  ASSERT_THAT(ConfigureKey(world.environment(), Name("app"), Versions(5, {})), IsOk());
  world.Restart();

  ASSERT_THAT(ConfigureKey(world.environment(), Name("app"), Versions(2, {})), IsOk());

  EXPECT_EQ(world.Find()->versions().size(), 4U);
  world.ExpectPromisesKept();
  world.Restart();
  world.ExpectPromisesKept();
}

TEST(ConfigureKey, ReportsDamageWhenTheArchiveIsIncomplete) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(ConfigureKey(world.environment(), Name("app"), Versions(3, {})), IsOk());
  world.store.TamperDelete(world.Prefix() +
                           ArchivePath(world.Find()->policy().incarnation, 2));

  EXPECT_THAT(ConfigureKey(world.environment(), Name("app"), Versions(1, {})),
              HasError(ErrorCode::kCorrupted, "damaged entry"));
  EXPECT_EQ(world.Find()->policy().min_decryption_version, 3U);
}

TEST(ConfigureKey, AnswersBadVersionsInTheContractsWords) {
  KeyWorld world;
  world.CreateVersions(3);
  const auto error = [&](std::optional<std::int64_t> decryption,
                         std::optional<std::int64_t> encryption) {
    const auto outcome =
        ConfigureKey(world.environment(), Name("app"), Versions(decryption, encryption));
    EXPECT_THAT(outcome, HasError(ErrorCode::kInvalidArgument));
    return outcome.has_value() ? std::string{} : outcome.error().public_message;
  };

  EXPECT_EQ(error(-1, -1), "min decryption version cannot be negative");
  EXPECT_EQ(error(4, -1), "cannot set min decryption version of 4, latest key version is 3");
  EXPECT_EQ(error(2, -1), "min encryption version cannot be negative");
  EXPECT_EQ(error(2, 4), "cannot set min encryption version of 4, latest key version is 3");
  EXPECT_EQ(error(3, 2),
            "cannot set min encryption/decryption values; min encryption version of 2 must be "
            "greater than or equal to min decryption version of 3");
  EXPECT_EQ(error(std::int64_t{1} << 40, {}),
            "cannot set min decryption version of 1099511627776, latest key version is 3");
  EXPECT_EQ(world.Find()->policy().min_decryption_version, 1U);
}

TEST(ConfigureKey, ForcesZeroToOneWithAWarning) {
  KeyWorld world;
  world.CreateVersions(2);

  KMS_ASSERT_OK_AND_ASSIGN(const ConfigureKeyOutcome outcome,
                           ConfigureKey(world.environment(), Name("app"), Versions(0, {})));

  EXPECT_THAT(
      outcome.warnings,
      ElementsAre("since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1"));
  EXPECT_EQ(outcome.key->policy().min_decryption_version, 1U);
}

TEST(ConfigureKey, StoresNothingWhenNothingChanges) {
  KeyWorld world;
  world.CreateVersions(2);
  const int commits = world.store.commits();

  KMS_ASSERT_OK_AND_ASSIGN(const ConfigureKeyOutcome outcome,
                           ConfigureKey(world.environment(), Name("app"), {}));

  EXPECT_THAT(outcome.warnings, IsEmpty());
  EXPECT_EQ(outcome.key->policy().latest_version, 2U);
  EXPECT_EQ(world.store.commits(), commits);
}

TEST(ConfigureKey, NeverTakesExportabilityBack) {
  KeyWorld world;
  world.Create();
  KeyConfigChange change;
  change.exportable = true;
  change.allow_plaintext_backup = true;
  change.deletion_allowed = true;
  ASSERT_THAT(ConfigureKey(world.environment(), Name("app"), change), IsOk());

  change.exportable = change.allow_plaintext_backup = change.deletion_allowed = false;
  KMS_ASSERT_OK_AND_ASSIGN(const ConfigureKeyOutcome outcome,
                           ConfigureKey(world.environment(), Name("app"), change));

  EXPECT_TRUE(outcome.key->policy().exportable);
  EXPECT_TRUE(outcome.key->policy().allow_plaintext_backup);
  EXPECT_FALSE(outcome.key->policy().deletion_allowed);
}

TEST(ConfigureKey, ChangesAllOrNothing) {
  KeyWorld world;
  world.CreateVersions(3);
  KeyConfigChange change = Versions(2, 3);
  change.deletion_allowed = true;
  change.auto_rotate_period_seconds = 10;

  EXPECT_THAT(ConfigureKey(world.environment(), Name("app"), change),
              HasError(ErrorCode::kInvalidArgument,
                       "auto rotate period must be 0 to disable or at least an hour"));

  const KeyPolicy policy = world.Find()->policy();
  EXPECT_EQ(policy.min_decryption_version, 1U);
  EXPECT_FALSE(policy.deletion_allowed);
}

TEST(ConfigureKey, NamesAnUnknownKey) {
  KeyWorld world;

  EXPECT_THAT(ConfigureKey(world.environment(), Name("app"), {}),
              HasError(ErrorCode::kInvalidArgument, "no existing key named app could be found"));
}

TEST(ConfigureKey, RetriesWhenAnotherNodeWasFaster) {
  KeyWorld world;
  world.CreateVersions(3);
  world.store.FailCommit(1, ErrorCode::kConflict);

  EXPECT_THAT(ConfigureKey(world.environment(), Name("app"), Versions(2, {})), IsOk());
  EXPECT_EQ(world.Find()->policy().min_decryption_version, 2U);
}

}  // namespace
}  // namespace kms
