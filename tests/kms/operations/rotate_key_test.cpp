// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rotate_key.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::EncryptUnder;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;
using testing::Promise;

TEST(RotateKey, KeepsOldVersionsDecryptable) {
  KeyWorld world;
  world.CreateVersions(5);

  EXPECT_EQ(world.Find()->policy().latest_version, 5U);
  world.ExpectPromisesKept();
  world.Restart();
  world.ExpectPromisesKept();
}

TEST(RotateKey, MovesNoMinimum) {
  KeyWorld world;
  world.CreateVersions(3);
  ASSERT_THAT(world.Configure(2, 3), IsOk());

  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));

  EXPECT_EQ(rotated->policy().latest_version, 4U);
  EXPECT_EQ(rotated->policy().min_decryption_version, 2U);
  EXPECT_EQ(rotated->policy().min_encryption_version, 3U);
  EXPECT_EQ(rotated->versions().size(), 3U);
}

TEST(RotateKey, NamesAnUnknownKey) {
  KeyWorld world;

  EXPECT_THAT(RotateKey(world.environment(), Name("app")),
              HasError(ErrorCode::kNotFound, "key not found"));
}

TEST(RotateKey, AddsOneVersionWhenTheCommitsAnswerIsLost) {
  KeyWorld world;
  world.Create();
  world.store.LoseNextCommitAnswer();

  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));

  EXPECT_EQ(rotated->policy().latest_version, 2U);
  EXPECT_EQ(world.environment().WarmKey("app"), rotated);
  world.Restart();
  EXPECT_EQ(world.Find()->policy().latest_version, 2U);
}

TEST(RotateKey, SaysSoWhenAFailedCommitChangedNothing) {
  KeyWorld world;
  world.Create();
  world.store.FailCommit(1, ErrorCode::kOutcomeUnknown);

  EXPECT_THAT(RotateKey(world.environment(), Name("app")),
              HasError(ErrorCode::kUnavailable, "storage failed, nothing was changed"));
  EXPECT_EQ(world.Find()->policy().latest_version, 1U);
}

struct TypeRow {
  KeyType type;
  std::int64_t key_size;
};

TEST(RotateKey, KeepsTypeAndSizeOfEveryType) {
  KeyWorld world;
  for (const auto& [type, key_size] :
       {TypeRow{KeyType::kHmac, 64}, TypeRow{KeyType::kEd25519, 0}, TypeRow{KeyType::kEcdsaP384, 0},
        TypeRow{KeyType::kXChaCha20Poly1305, 0}, TypeRow{KeyType::kRsa2048, 0}}) {
    const KeyName name = Name("key" + std::to_string(static_cast<int>(type)));
    KMS_ASSERT_OK_AND_ASSIGN(const CreateKeyOutcome made,
                             CreateKey(world.environment(), name, {.type = type, .key_size = key_size}));
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), name));
    ASSERT_EQ(rotated->versions().size(), 2U);
    EXPECT_EQ(rotated->policy().type, type);
    EXPECT_EQ(rotated->policy().key_size, key_size);
    EXPECT_NE(rotated->versions()[1].material, made.key->versions()[0].material);
    EXPECT_EQ(rotated->versions()[1].material.size() == 64, type == KeyType::kHmac);
  }
}

TEST(RotateKey, LeavesAloneWhatSomeoneElseRotatedAlready) {
  KeyWorld world;
  world.CreateVersions(2);

  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle same, RotateKey(world.environment(), Name("app"), 1));
  EXPECT_EQ(same->policy().latest_version, 2U);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle next, RotateKey(world.environment(), Name("app"), 2));
  EXPECT_EQ(next->policy().latest_version, 3U);
}

// Makes the stored key one that was imported.
KeyHandle MarkImported(KeyWorld& world, bool allow_rotation) {
  const LoadedKey loaded = LoadKey(world.environment(), "app").value().value();
  KeyPolicy policy = loaded.key->policy();
  policy.imported = true;
  policy.imported_allow_rotation = allow_rotation;
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded.key->versions()) {
    versions.push_back(version.Clone().value());
  }
  return StoreKey(world.environment(), Key::Create(policy, std::move(versions)).value(),
                  loaded.revision, {})
      .value();
}

TEST(RotateKey, AsksWhetherAnImportedKeyMayRotate) {
  KeyWorld world;
  world.Create();
  MarkImported(world, false);
  EXPECT_THAT(RotateKey(world.environment(), Name("app")),
              HasError(ErrorCode::kInvalidArgument,
                       "imported key app does not allow rotation within Vault"));

  MarkImported(world, true);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));
  EXPECT_EQ(rotated->policy().latest_version, 2U);
  EXPECT_FALSE(rotated->policy().imported);
}

TEST(RotateKey, D15_TwoNodesNeverMakeTwoMaterialsOfOneVersion) {
  KeyWorld world;
  world.Create();
  Environment other{world.environment().identity(), {}, world.store, world.clock};
  other.Unseal(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value());
  std::atomic<int> rotated = 0;
  const auto rotate = [&](Environment& environment) {
    for (int round = 0; round < 50; ++round) {
      const Result<KeyHandle> key = RotateKey(environment, Name("app"));
      if (key.has_value()) {
        ++rotated;
      } else {
        EXPECT_THAT(key, HasError(ErrorCode::kConflict));
      }
    }
  };

  std::thread first([&] { rotate(world.environment()); });
  std::thread second([&] { rotate(other); });
  first.join();
  second.join();

  world.Restart();
  EXPECT_EQ(world.Find()->policy().latest_version, 1U + static_cast<unsigned>(rotated.load()));
  world.ExpectPromisesKept();
}

TEST(RotateKey, IsSeenWholeByThreadsThatEncrypt) {
  KeyWorld world;
  world.Create();
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::vector<Promise> promises;
  const auto encrypt = [&] {
    std::vector<Promise> mine;
    KeyVersionNumber last = 0;
    while (!stop || mine.empty()) {
      Promise promise;
      promise.plaintext = "m" + std::to_string(mine.size());
      const Result<KeyVersionNumber> version =
          EncryptUnder(world.environment(), "app", promise.plaintext, promise.ciphertext);
      ASSERT_THAT(version, IsOk());
      ASSERT_GE(*version, last) << "latest went back";
      last = promise.version = *version;
      mine.push_back(std::move(promise));
    }
    const std::lock_guard lock(mutex);
    std::ranges::move(mine, std::back_inserter(promises));
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back(encrypt);
  }

  for (KeyVersionNumber version = 2; version <= 100; ++version) {
    if (version % 7 == 0) {
      world.environment().ForgetKey("app");
    }
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));
    EXPECT_EQ(rotated->policy().latest_version, version);
  }
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }

  world.promises = std::move(promises);
  world.Restart();
  EXPECT_EQ(world.Find()->policy().latest_version, 100U);
  world.ExpectPromisesKept();
}

}  // namespace
}  // namespace kms
