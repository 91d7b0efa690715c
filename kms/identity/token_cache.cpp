// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/token_cache.h"

#include <algorithm>
#include <utility>

namespace kms {

namespace {

// How many buckets an eviction looks at before it takes whatever it finds.
constexpr std::size_t kEvictionPatience = 64;

void MarkStale(const TokenLinkHandle& link) {
  if (link != nullptr) {
    link->stale.store(true, std::memory_order_release);
  }
}

}  // namespace

bool TokenLink::Good(std::int64_t now_unix_seconds) const {
  for (const TokenLink* link = this; link != nullptr; link = link->parent.get()) {
    const bool expired =
        link->expires_unix_seconds != 0 && now_unix_seconds >= link->expires_unix_seconds;
    if (expired || link->stale.load(std::memory_order_acquire)) {
      return false;
    }
    if (!link->used.load(std::memory_order_relaxed)) {
      link->used.store(true, std::memory_order_relaxed);
    }
  }
  return true;
}

TokenCache::TokenCache(std::size_t max_tokens)
    : max_tokens_per_shard_(std::max<std::size_t>(1, (max_tokens + kShards - 1) / kShards)) {}

// The map takes the first bytes, the shard the last one.
TokenCache::Shard& TokenCache::ShardOf(const Sha256Digest& hash) {
  return shards_[hash.back() % kShards];
}

const TokenCache::Shard& TokenCache::ShardOf(const Sha256Digest& hash) const {
  return shards_[hash.back() % kShards];
}

PrincipalHandle TokenCache::Find(const Sha256Digest& hash, std::int64_t now_unix_seconds,
                                 std::uint64_t policy_generation) const {
  const Shard& shard = ShardOf(hash);
  const ScopedSharedLock lock(shard.mutex);
  const auto found = shard.entries.find(hash);
  if (found == shard.entries.end()) {
    return nullptr;
  }
  const Entry& entry = found->second;
  const bool current = entry.principal->is_root || entry.policy_generation == policy_generation;
  return current && entry.link->Good(now_unix_seconds) ? entry.principal : nullptr;
}

TokenLinkHandle TokenCache::FindLink(const Sha256Digest& hash,
                                     std::int64_t now_unix_seconds) const {
  const Shard& shard = ShardOf(hash);
  const ScopedSharedLock lock(shard.mutex);
  const auto found = shard.entries.find(hash);
  if (found == shard.entries.end() || !found->second.link->Good(now_unix_seconds)) {
    return nullptr;
  }
  return found->second.link;
}

std::uint64_t TokenCache::Epoch(const Sha256Digest& hash) const {
  const Shard& shard = ShardOf(hash);
  const ScopedSharedLock lock(shard.mutex);
  return shard.epoch;
}

TokenLinkHandle TokenCache::Publish(const Sha256Digest& hash, LoadedToken loaded,
                                    TokenLinkHandle parent, std::int64_t now_unix_seconds) {
  Shard& shard = ShardOf(hash);
  std::vector<Entry> dropped;  // freed outside the lock
  const ScopedLock lock(shard.mutex);
  if (shard.epoch != loaded.epoch) {
    return nullptr;
  }
  Entry& entry = shard.entries[hash];
  // Children hang on the link: it is kept as long as it is good.
  if (entry.link == nullptr || !entry.link->Good(now_unix_seconds)) {
    MarkStale(entry.link);
    dropped.push_back(std::move(entry));
    entry.link = std::make_shared<const TokenLink>(
        loaded.issued_stamp, loaded.principal->expires_unix_seconds, std::move(parent));
  }
  dropped.push_back({.principal = std::exchange(entry.principal, std::move(loaded.principal))});
  entry.policy_generation = loaded.policy_generation;
  TokenLinkHandle link = entry.link;
  while (shard.entries.size() > max_tokens_per_shard_) {
    dropped.push_back(EvictOne(shard, hash));
  }
  return link;
}

// A clock hand over the buckets: the first entry that nobody used since the hand last passed goes.
// Its children go cold with it, since a later drop would not find it any more.
TokenCache::Entry TokenCache::EvictOne(Shard& shard, const Sha256Digest& keep) {
  for (std::size_t step = 0;; ++step) {
    shard.eviction_bucket = (shard.eviction_bucket + 1) % shard.entries.bucket_count();
    const auto begin = shard.entries.begin(shard.eviction_bucket);
    const auto end = shard.entries.end(shard.eviction_bucket);
    for (auto entry = begin; entry != end; ++entry) {
      const bool spared = entry->second.link->used.exchange(false, std::memory_order_relaxed);
      if (entry->first == keep || (spared && step < kEvictionPatience)) {
        continue;
      }
      Entry evicted = std::move(entry->second);
      MarkStale(evicted.link);
      shard.entries.erase(Sha256Digest(entry->first));
      return evicted;
    }
  }
}

void TokenCache::Drop(const Sha256Digest& hash) {
  Shard& shard = ShardOf(hash);
  Entry dropped;
  const ScopedLock lock(shard.mutex);
  ++shard.epoch;
  if (const auto found = shard.entries.find(hash); found != shard.entries.end()) {
    dropped = std::move(found->second);
    MarkStale(dropped.link);
    shard.entries.erase(found);
  }
}

void TokenCache::DropAll() {
  for (Shard& shard : shards_) {
    Entries dropped;
    const ScopedLock lock(shard.mutex);
    ++shard.epoch;
    shard.entries.swap(dropped);
    for (const auto& [hash, entry] : dropped) {
      MarkStale(entry.link);
    }
  }
}

std::size_t TokenCache::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const ScopedSharedLock lock(shard.mutex);
    size += shard.entries.size();
  }
  return size;
}

}  // namespace kms
