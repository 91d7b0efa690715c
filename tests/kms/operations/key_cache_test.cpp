// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/key_cache.h"

#include <atomic>
#include <future>
#include <thread>

#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::KeyWorld;
using testing::Name;

KeyHandle MakeKey(std::string name, KeyVersionNumber latest = 1) {
  std::vector<KeyVersion> versions;
  for (KeyVersionNumber number = 1; number <= latest; ++number) {
    versions.push_back(KeyVersion::Generate(KeyType::kAes256Gcm96, number, {}).value());
  }
  KeyPolicy policy;
  policy.name = std::move(name);
  policy.incarnation = Uuid::Random();
  policy.latest_version = latest;
  return std::make_shared<const Key>(Key::Create(policy, std::move(versions)).value());
}

Result<std::optional<LoadedKey>> NoSuchKey() { return std::optional<LoadedKey>{}; }

TEST(KeyCache, KeepsNothingUntilItIsOpen) {
  KeyCache cache(10);
  cache.Publish(MakeKey("a"), 1);
  EXPECT_EQ(cache.Find("a"), nullptr);

  cache.Open();
  cache.Publish(MakeKey("a"), 1);
  EXPECT_NE(cache.Find("a"), nullptr);
}

TEST(KeyCache, IgnoresWhatIsOlderThanWhatItHas) {
  KeyCache cache(10);
  cache.Open();
  const KeyHandle newer = MakeKey("a");
  cache.Publish(newer, 5);
  cache.Publish(MakeKey("a"), 4);

  EXPECT_EQ(cache.Find("a"), newer);
}

TEST(KeyCache, DoesNotRememberThatAKeyIsMissing) {
  KeyCache cache(10);
  cache.Open();
  EXPECT_THAT(cache.FindOrLoad("a", NoSuchKey), IsOkAndHolds(nullptr));
  const KeyHandle key = MakeKey("a");

  EXPECT_THAT(cache.FindOrLoad("a", [&] { return std::optional<LoadedKey>{{key, 1}}; }),
              IsOkAndHolds(key));
}

TEST(KeyCache, DoesNotRememberErrors) {
  KeyCache cache(10);
  cache.Open();
  EXPECT_THAT(cache.FindOrLoad(
                  "a", []() -> Result<std::optional<LoadedKey>> { return Unavailable("away"); }),
              HasError(ErrorCode::kUnavailable, "away"));

  EXPECT_THAT(cache.FindOrLoad("a", NoSuchKey), IsOkAndHolds(nullptr));
}

TEST(KeyCache, ConcurrentMissesShareOneLoad) {
  KeyCache cache(10);
  cache.Open();
  const KeyHandle key = MakeKey("a");
  std::atomic<int> loads = 0;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  const auto load = [&]() -> Result<std::optional<LoadedKey>> {
    ++loads;
    released.wait();
    return std::optional<LoadedKey>{{key, 1}};
  };
  std::vector<std::thread> threads;
  std::atomic<int> started = 0;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      ++started;
      EXPECT_THAT(cache.FindOrLoad("a", load), IsOkAndHolds(key));
    });
  }
  while (started < 8 || loads == 0) {
    std::this_thread::yield();
  }
  release.set_value();
  for (std::thread& thread : threads) {
    thread.join();
  }

  EXPECT_EQ(loads, 1);
}

// What happens to `disturb` while a load is under way.
KeyHandle FoundAfterDisturbedLoad(KeyCache& cache, const KeyHandle& read,
                                  const std::function<void()>& disturb) {
  EXPECT_THAT(cache.FindOrLoad("a",
                               [&]() -> Result<std::optional<LoadedKey>> {
                                 disturb();
                                 return std::optional<LoadedKey>{{read, 1}};
                               }),
              IsOkAndHolds(read));
  return cache.Find("a");
}

TEST(KeyCache, ALoadNeverOverwritesWhatWasWrittenMeanwhile) {
  KeyCache cache(10);
  cache.Open();
  const KeyHandle written = MakeKey("a", 2);

  EXPECT_EQ(FoundAfterDisturbedLoad(cache, MakeKey("a"), [&] { cache.Publish(written, 2); }),
            written);
}

TEST(KeyCache, ALoadNeverRevivesWhatWasForgottenMeanwhile) {
  KeyCache cache(10);
  cache.Open();

  EXPECT_EQ(FoundAfterDisturbedLoad(cache, MakeKey("a"), [&] { cache.Forget("a"); }), nullptr);
}

TEST(KeyCache, ALoadIsNotJoinedAfterForget) {
  KeyCache cache(10);
  cache.Open();
  const KeyHandle fresh = MakeKey("a", 2);
  const auto reread = [&] {
    cache.Forget("a");
    EXPECT_THAT(cache.FindOrLoad("a", [&] { return std::optional<LoadedKey>{{fresh, 2}}; }),
                IsOkAndHolds(fresh));
  };

  EXPECT_EQ(FoundAfterDisturbedLoad(cache, MakeKey("a"), reread), fresh);
}

TEST(KeyCache, C18_ALoadNeverSurvivesClosing) {
  KeyCache cache(10);
  cache.Open();

  EXPECT_EQ(FoundAfterDisturbedLoad(cache, MakeKey("a"),
                                    [&] {
                                      cache.Close();
                                      cache.Open();
                                    }),
            nullptr);
}

TEST(KeyCache, StaysWithinItsBound) {
  KeyCache cache(160);
  cache.Open();
  for (int index = 0; index < 1000; ++index) {
    cache.Publish(MakeKey("k" + std::to_string(index)), 1);
    ASSERT_NE(cache.Find("k" + std::to_string(index)), nullptr);
  }

  EXPECT_LE(cache.size(), 160U);
  EXPECT_GE(cache.size(), 100U);
}

TEST(KeyCache, EvictsWhatIsNotUsedFirst) {
  KeyCache cache(160);
  cache.Open();
  cache.Publish(MakeKey("hot"), 1);
  for (int index = 0; index < 2000; ++index) {
    cache.Publish(MakeKey("k" + std::to_string(index)), 1);
    ASSERT_NE(cache.Find("hot"), nullptr) << "a key in constant use was evicted";
  }
}

TEST(KeyCache, ShrinkDropsAShare) {
  KeyCache cache(1600);
  cache.Open();
  for (int index = 0; index < 400; ++index) {
    cache.Publish(MakeKey("k" + std::to_string(index)), 1);
  }

  cache.Shrink();

  EXPECT_LT(cache.size(), 360U);
  EXPECT_GT(cache.size(), 300U);
}

TEST(Environment, AColdKeyCostsOneStoreRead) {
  KeyWorld world;
  world.Create();
  world.Restart();
  const int reads = world.store.calls();

  EXPECT_EQ(world.environment().WarmKey("app"), nullptr);
  EXPECT_NE(world.Find(), nullptr);
  EXPECT_EQ(world.store.calls(), reads + 1);
  EXPECT_NE(world.environment().WarmKey("app"), nullptr);
  EXPECT_NE(world.Find(), nullptr);
  EXPECT_EQ(world.store.calls(), reads + 1);
}

TEST(Environment, C18_SealWipesKeysAndAnswersNothing) {
  KeyWorld world;
  world.CreateVersions(3);
  const std::weak_ptr<const Key> watched = world.environment().WarmKey("app");
  ASSERT_EQ(world.environment().warm_keys(), 1U);

  world.environment().Seal("the operator says so");

  EXPECT_TRUE(watched.expired()) << "a sealed key is still in memory";
  EXPECT_EQ(world.environment().warm_keys(), 0U);
  EXPECT_EQ(world.environment().WarmKey("app"), nullptr);
  EXPECT_TRUE(world.environment().sealed());
  EXPECT_EQ(world.environment().seal_reason(), "the operator says so");
  EXPECT_THAT(world.environment().FindKey(Name("app")),
              HasError(ErrorCode::kUnavailable, "environment is sealed"));
  EXPECT_THAT(RotateKey(world.environment(), Name("app")), HasError(ErrorCode::kUnavailable));
}

TEST(Environment, C18_ConfigureAndTrimDropVersionsFromMemory) {
  KeyWorld world;
  world.CreateVersions(3);
  const std::weak_ptr<const Key> watched = world.environment().WarmKey("app");

  ASSERT_THAT(world.Configure(3, 3), IsOk());
  ASSERT_THAT(TrimKey(world.environment(), Name("app"), 3), IsOk());

  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(world.environment().WarmKey("app")->versions().size(), 1U);
}

TEST(Environment, ServesAgainAfterUnseal) {
  KeyWorld world;
  world.CreateVersions(2);
  world.environment().Seal("for a while");

  world.environment().Unseal(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value());

  EXPECT_EQ(world.environment().seal_reason(), "");
  world.ExpectPromisesKept();
}

TEST(Environment, StaysSealedWhenTheKeyIsNone) {
  KeyWorld world;
  world.environment().Seal("for a while");

  world.environment().Unseal(1, SecretBytes{});

  EXPECT_TRUE(world.environment().sealed());
  EXPECT_EQ(world.environment().seal_reason(), "an environment key has 32 bytes");
}

TEST(Environment, MakesRoomWhenSecretMemoryIsFull) {
  KeyWorld world;
  for (int index = 0; index < 50; ++index) {
    world.Create("k" + std::to_string(index));
  }
  world.Create("cold");
  world.environment().ForgetKey("cold");
  std::vector<SecretBytes> hoard;
  for (std::size_t size = 1U << 20U; size >= 32; size /= 2) {
    for (Result<SecretBytes> more = SecretBytes::OfSize(size); more.has_value();
         more = SecretBytes::OfSize(size)) {
      hoard.push_back(*std::move(more));
    }
  }

  EXPECT_NE(world.Find("cold"), nullptr);
  EXPECT_LT(world.environment().warm_keys(), 50U);
}

}  // namespace
}  // namespace kms
