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

TEST(CreateKey, MakesEveryType) {
  KeyWorld world;
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    const std::string name(traits.name);
    KMS_ASSERT_OK_AND_ASSIGN(const CreateKeyOutcome outcome,
                             CreateKey(world.environment(), Name(name), {.type = traits.type}));
    EXPECT_EQ(outcome.key->policy().type, traits.type);
    EXPECT_EQ(outcome.key->policy().key_size, traits.type == KeyType::kHmac ? 32U : 0U);
  }
  world.Restart();
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    const KeyHandle key = world.Find(traits.name);
    ASSERT_NE(key, nullptr) << traits.name;
    EXPECT_EQ(key->FindAsymmetric(1) != nullptr, traits.is_asymmetric()) << traits.name;
    EXPECT_EQ(key->FindUsage(1) != nullptr, traits.supports_encryption) << traits.name;
  }
}

struct RefusedRow {
  CreateKeyRequest request;
  const char* text;
};

TEST(CreateKey, RefusesWhatATypeCannotDoWithTheContractsTexts) {
  KeyWorld world;
  using enum KeyType;
  constexpr const char* kNoDerivation =
      "key derivation and convergent encryption not supported for keys of type ";
  const RefusedRow rows[] = {
      {{.type = kAes256Gcm96, .key_size = 32}, "key_size is not valid for algorithm aes256-gcm96"},
      {{.type = kEd25519, .key_size = -1}, "key_size is not valid for algorithm ed25519"},
      {{.type = kHmac, .key_size = 31}, "invalid key_size 31"},
      {{.type = kHmac, .key_size = 513}, "invalid key_size 513"},
      {{.type = kHmac, .key_size = -32}, "invalid key_size -32"},
      {{.type = kHmac, .key_size = std::int64_t{1} << 32U}, "invalid key_size 4294967296"},
      {{.type = kEd25519, .derived = true, .convergent_encryption = true},
       "convergent encryption not supported for keys of type ed25519"},
  };
  for (const RefusedRow& row : rows) {
    EXPECT_THAT(CreateKey(world.environment(), Name("app"), row.request),
                HasError(ErrorCode::kInvalidArgument, row.text));
  }
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (!traits.supports_derivation) {
      EXPECT_THAT(
          CreateKey(world.environment(), Name("app"), {.type = traits.type, .derived = true}),
          HasError(ErrorCode::kInvalidArgument, kNoDerivation + std::string(traits.name)));
    }
  }
  EXPECT_TRUE(world.store.Contents().empty());
}

TEST(CreateKey, TakesTheBoundsOfHmacSizes) {
  KeyWorld world;
  for (const std::int64_t size : {32, 512}) {
    KMS_ASSERT_OK_AND_ASSIGN(
        const CreateKeyOutcome outcome,
        CreateKey(world.environment(), Name("key" + std::to_string(size)),
                  {.type = KeyType::kHmac, .key_size = size}));
    EXPECT_EQ(outcome.key->versions()[0].material.size(), static_cast<std::size_t>(size));
  }
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
