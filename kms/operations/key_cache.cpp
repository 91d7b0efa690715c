// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/key_cache.h"

#include <algorithm>
#include <utility>

namespace kms {

namespace {

// How many buckets an eviction looks at before it takes whatever it finds.
constexpr std::size_t kEvictionPatience = 64;

}  // namespace

KeyCache::KeyCache(std::size_t max_keys)
    : max_keys_per_shard_(std::max<std::size_t>(1, (max_keys + kShards - 1) / kShards)) {}

// The map takes the low bits of the same hash, so the shard takes higher ones.
KeyCache::Shard& KeyCache::ShardOf(std::string_view name) {
  return shards_[(NameHash{}(name) >> 40U) % kShards];
}

const KeyCache::Shard& KeyCache::ShardOf(std::string_view name) const {
  return shards_[(NameHash{}(name) >> 40U) % kShards];
}

KeyHandle KeyCache::Find(std::string_view name) const {
  const Shard& shard = ShardOf(name);
  const ScopedSharedLock lock(shard.mutex);
  const auto found = shard.entries.find(name);
  if (found == shard.entries.end()) {
    return nullptr;
  }
  const Entry& entry = found->second;
  if (!entry.used.load(std::memory_order_relaxed)) {
    entry.used.store(true, std::memory_order_relaxed);
  }
  return entry.key;
}

Result<KeyHandle> KeyCache::FindOrLoad(const std::string& name, const Loader& load) {
  Shard& shard = ShardOf(name);
  std::shared_ptr<Flight> flight;
  bool joined = true;
  {
    const ScopedLock lock(shard.mutex);
    if (const auto found = shard.entries.find(name); found != shard.entries.end()) {
      return found->second.key;
    }
    std::shared_ptr<Flight>& slot = shard.flights[name];
    if (slot == nullptr) {
      slot = std::make_shared<Flight>();
      joined = false;
    }
    flight = slot;
  }
  if (joined) {
    return flight->landed.get();
  }
  Result<KeyHandle> outcome = Load(shard, name, flight, load);
  flight->promise.set_value(outcome);
  return outcome;
}

Result<KeyHandle> KeyCache::Load(Shard& shard, const std::string& name,
                                 const std::shared_ptr<Flight>& flight, const Loader& load) {
  Result<std::optional<LoadedKey>> loaded = load();
  std::vector<KeyHandle> dropped;
  const ScopedLock lock(shard.mutex);
  const auto current = shard.flights.find(name);
  // Whoever wrote, forgot or sealed meanwhile took this flight off the board.
  const bool still_wanted = current != shard.flights.end() && current->second == flight;
  if (still_wanted) {
    shard.flights.erase(current);
  }
  if (!loaded.has_value()) {
    return std::move(loaded).error();
  }
  if (!loaded->has_value()) {
    return KeyHandle{};
  }
  if (still_wanted) {
    Insert(shard, (*loaded)->key, (*loaded)->revision, dropped);
  }
  return std::move((*loaded)->key);
}

void KeyCache::Publish(KeyHandle key, Revision revision) {
  Shard& shard = ShardOf(key->policy().name);
  std::vector<KeyHandle> dropped;
  const ScopedLock lock(shard.mutex);
  shard.flights.erase(key->policy().name);
  Insert(shard, std::move(key), revision, dropped);
}

void KeyCache::Insert(Shard& shard, KeyHandle key, Revision revision,
                      std::vector<KeyHandle>& dropped) {
  if (!shard.open) {
    return;
  }
  const std::string& name = key->policy().name;
  Entry& entry = shard.entries.try_emplace(name).first->second;
  if (entry.key != nullptr && entry.revision >= revision) {
    return;
  }
  entry.revision = revision;
  entry.used.store(true, std::memory_order_relaxed);
  dropped.push_back(std::exchange(entry.key, std::move(key)));
  while (shard.entries.size() > max_keys_per_shard_) {
    dropped.push_back(EvictOne(shard, entry.key->policy().name));
  }
}

// A clock hand over the buckets: the first entry that nobody used since the hand last passed goes.
KeyHandle KeyCache::EvictOne(Shard& shard, std::string_view keep) {
  for (std::size_t step = 0;; ++step) {
    shard.eviction_bucket = (shard.eviction_bucket + 1) % shard.entries.bucket_count();
    const auto begin = shard.entries.begin(shard.eviction_bucket);
    const auto end = shard.entries.end(shard.eviction_bucket);
    for (auto entry = begin; entry != end; ++entry) {
      const bool spared = entry->second.used.exchange(false, std::memory_order_relaxed);
      if (entry->first == keep || (spared && step < kEvictionPatience)) {
        continue;
      }
      KeyHandle evicted = std::move(entry->second.key);
      shard.entries.erase(shard.entries.find(entry->first));
      return evicted;
    }
  }
}

void KeyCache::Forget(std::string_view name) {
  Shard& shard = ShardOf(name);
  KeyHandle dropped;
  const ScopedLock lock(shard.mutex);
  if (const auto flight = shard.flights.find(name); flight != shard.flights.end()) {
    shard.flights.erase(flight);
  }
  if (const auto found = shard.entries.find(name); found != shard.entries.end()) {
    dropped = std::move(found->second.key);
    shard.entries.erase(found);
  }
}

void KeyCache::Close() {
  for (Shard& shard : shards_) {
    ByName<Entry> dropped;
    const ScopedLock lock(shard.mutex);
    shard.open = false;
    shard.flights.clear();
    shard.entries.swap(dropped);
  }
}

void KeyCache::Open() {
  for (Shard& shard : shards_) {
    const ScopedLock lock(shard.mutex);
    shard.open = true;
  }
}

void KeyCache::Shrink() {
  for (Shard& shard : shards_) {
    std::vector<KeyHandle> dropped;
    const ScopedLock lock(shard.mutex);
    const std::size_t goal = shard.entries.size() - (shard.entries.size() + 7) / 8;
    while (shard.entries.size() > goal) {
      dropped.push_back(EvictOne(shard, {}));
    }
  }
}

std::size_t KeyCache::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const ScopedSharedLock lock(shard.mutex);
    size += shard.entries.size();
  }
  return size;
}

}  // namespace kms
