// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/create_key.h"

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

TEST(CreateKey, MakesVersionOneAndArchivesIt) {
  KeyWorld world;

  KMS_ASSERT_OK_AND_ASSIGN(const CreateKeyOutcome outcome,
                           CreateKey(world.environment(), Name("app"), {}));

  EXPECT_FALSE(outcome.already_existed);
  const KeyPolicy& policy = outcome.key->policy();
  EXPECT_EQ(policy.latest_version, 1U);
  EXPECT_EQ(policy.min_decryption_version, 1U);
  EXPECT_EQ(policy.min_encryption_version, 0U);
  EXPECT_EQ(policy.min_available_version, 0U);
  EXPECT_FALSE(policy.deletion_allowed);
  EXPECT_EQ(world.Stored("archive/"),
            std::vector<std::string>{"archive/" + policy.incarnation.ToString() + "/0000000001"});
}

TEST(CreateKey, ReturnsTheExistingKeyUnchanged) {
  KeyWorld world;
  const KeyHandle first = world.Create();

  KMS_ASSERT_OK_AND_ASSIGN(
      const CreateKeyOutcome outcome,
      CreateKey(world.environment(), Name("app"), {.type = KeyType::kChaCha20Poly1305}));

  EXPECT_TRUE(outcome.already_existed);
  EXPECT_EQ(outcome.key, first);
  EXPECT_EQ(outcome.key->policy().type, KeyType::kAes256Gcm96);
}

TEST(CreateKey, KeepsWhatWasAskedFor) {
  KeyWorld world;

  KMS_ASSERT_OK_AND_ASSIGN(const CreateKeyOutcome outcome,
                           CreateKey(world.environment(), Name("app"),
                                     {.type = KeyType::kAes128Gcm96,
                                      .derived = true,
                                      .convergent_encryption = true,
                                      .exportable = true,
                                      .allow_plaintext_backup = true,
                                      .auto_rotate_period_seconds = 3600}));
  world.Restart();

  const KeyPolicy policy = world.Find()->policy();
  EXPECT_EQ(policy.type, KeyType::kAes128Gcm96);
  EXPECT_TRUE(policy.derived && policy.convergent_encryption && policy.exportable &&
              policy.allow_plaintext_backup);
  EXPECT_EQ(policy.auto_rotate_period_seconds, 3600);
}

TEST(CreateKey, RefusesWhatDoesNotFit) {
  KeyWorld world;

  EXPECT_THAT(
      CreateKey(world.environment(), Name("app"), {.auto_rotate_period_seconds = 3599}),
      HasError(ErrorCode::kInvalidArgument,
               "auto rotate period must be 0 to disable or at least an hour"));
  EXPECT_THAT(CreateKey(world.environment(), Name("app"), {.auto_rotate_period_seconds = -1}),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(CreateKey(world.environment(), Name("app"), {.convergent_encryption = true}),
              HasError(ErrorCode::kInvalidArgument,
                       "convergent encryption requires derivation to be enabled"));
  EXPECT_TRUE(world.store.Contents().empty());
}

TEST(CreateKey, GivesAReCreatedNameAnotherIncarnation) {
  KeyWorld world;
  const Uuid first = world.Create()->policy().incarnation;
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());

  EXPECT_NE(world.Create()->policy().incarnation, first);
}

TEST(CreateKey, AnswersTheTruthAfterALostCommitAnswer) {
  KeyWorld world;
  world.store.LoseNextCommitAnswer();

  KMS_ASSERT_OK_AND_ASSIGN(const CreateKeyOutcome outcome,
                           CreateKey(world.environment(), Name("app"), {}));

  EXPECT_FALSE(outcome.already_existed);
  world.Restart();
  EXPECT_EQ(world.Find()->policy().incarnation, outcome.key->policy().incarnation);
}

TEST(CreateKey, FailsWhileTheEnvironmentIsSealed) {
  KeyWorld world;
  world.environment().Seal("the test says so");

  EXPECT_THAT(CreateKey(world.environment(), Name("app"), {}),
              HasError(ErrorCode::kUnavailable, "environment is sealed"));
}

}  // namespace
}  // namespace kms
