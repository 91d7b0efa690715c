// SPDX-License-Identifier: Apache-2.0
// KeyCache: the warm keys of one environment. Readers share one lock of a shard; concurrent misses
// share one load; what was written always wins over what was being read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/store/store.h"

namespace kms {

// A key as it was read, and the revision of its entry.
struct LoadedKey {
  KeyHandle key;
  Revision revision = 0;
};

// Thread rule: any thread. Closed when made.
class KeyCache {
 public:
  // Returns nullopt when there is no such key.
  using Loader = std::function<Result<std::optional<LoadedKey>>()>;

  explicit KeyCache(std::size_t max_keys);

  // Hot path: nullptr when the key is not warm.
  [[nodiscard]] KeyHandle Find(std::string_view name) const;

  // The warm key, or what `load` answers; nullptr when that is nothing, which is not remembered.
  Result<KeyHandle> FindOrLoad(const std::string& name, const Loader& load);

  // Keeps what was just written, unless something newer is kept. Loads under way are not.
  void Publish(KeyHandle key, Revision revision);
  // Drops the key; loads under way are not kept and not joined.
  void Forget(std::string_view name);

  // Drops everything and keeps nothing until Open.
  void Close();
  void Open();

  // Drops about an eighth of the keys: secret memory ran short.
  void Shrink();

  [[nodiscard]] std::size_t size() const;

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  template <typename Value>
  using ByName = std::unordered_map<std::string, Value, NameHash, std::equal_to<>>;

  struct Entry {
    KeyHandle key;
    Revision revision = 0;
    mutable std::atomic<bool> used = false;  // since eviction last passed
  };
  // One load under way and those who wait for it.
  struct Flight {
    std::promise<Result<KeyHandle>> promise;
    std::shared_future<Result<KeyHandle>> landed = promise.get_future().share();
  };
  struct alignas(64) Shard {
    mutable SharedMutex mutex;
    ByName<Entry> entries KMS_GUARDED_BY(mutex);
    ByName<std::shared_ptr<Flight>> flights KMS_GUARDED_BY(mutex);
    std::size_t eviction_bucket KMS_GUARDED_BY(mutex) = 0;
    bool open KMS_GUARDED_BY(mutex) = false;
  };
  static constexpr std::size_t kShards = 16;

  [[nodiscard]] Shard& ShardOf(std::string_view name);
  [[nodiscard]] const Shard& ShardOf(std::string_view name) const;

  Result<KeyHandle> Load(Shard& shard, const std::string& name,
                         const std::shared_ptr<Flight>& flight, const Loader& load);
  // Removes one entry other than `keep` and returns it, to be wiped outside the lock.
  static KeyHandle EvictOne(Shard& shard, std::string_view keep) KMS_REQUIRES(shard.mutex);
  void Insert(Shard& shard, KeyHandle key, Revision revision, std::vector<KeyHandle>& dropped)
      KMS_REQUIRES(shard.mutex);

  const std::size_t max_keys_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace kms
