// SPDX-License-Identifier: Apache-2.0
// TokenCache: the principals of tokens that were good when they were last read. Never answers with
// one that was dropped, nor with one whose ancestor was.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "kms/auth/principal.h"
#include "kms/base/digest.h"
#include "kms/base/mutex.h"

namespace kms {

// A token that was read, and through `parent` those it dies with. Stale once and for all when
// anything that it was read from changed: whoever sees that asks the store.
struct TokenLink {
  TokenLink(std::int64_t stamp, std::int64_t expires, std::shared_ptr<const TokenLink> parent_link)
      : issued_stamp(stamp), expires_unix_seconds(expires), parent(std::move(parent_link)) {}

  const std::int64_t issued_stamp;          // of the token, see kms/identity/revoked_sources.h
  const std::int64_t expires_unix_seconds;  // 0: never
  const std::shared_ptr<const TokenLink> parent;
  mutable std::atomic<bool> stale = false;
  mutable std::atomic<bool> used = true;  // since eviction last passed

  // Of itself and all of its ancestors.
  [[nodiscard]] bool Good(std::int64_t now_unix_seconds) const;
};

using TokenLinkHandle = std::shared_ptr<const TokenLink>;

// What a load found.
struct LoadedToken {
  std::uint64_t epoch = 0;  // taken before the first read
  std::int64_t issued_stamp = 0;
  std::uint64_t policy_generation = 0;  // taken before the principal was made
  PrincipalHandle principal;
};

// A load takes the epoch of its hash, reads the store, and publishes under that epoch; a change
// commits, and drops the hash. So what was read before a change is never kept after it.
// Thread rule: any thread.
class TokenCache {
 public:
  explicit TokenCache(std::size_t max_tokens);

  // Hot path: nullptr unless the token is kept, good, and its principal was made of policies of
  // this generation (a root's is of every one). No allocation.
  [[nodiscard]] PrincipalHandle Find(const Sha256Digest& hash, std::int64_t now_unix_seconds,
                                     std::uint64_t policy_generation) const;
  // The link that children of this token hang on; nullptr when it is not kept or not good.
  [[nodiscard]] TokenLinkHandle FindLink(const Sha256Digest& hash,
                                         std::int64_t now_unix_seconds) const;

  [[nodiscard]] std::uint64_t Epoch(const Sha256Digest& hash) const;
  // Returns the link under which the token is kept now; nullptr when something was dropped since
  // the epoch was taken, and nothing is kept then.
  TokenLinkHandle Publish(const Sha256Digest& hash, LoadedToken loaded, TokenLinkHandle parent,
                          std::int64_t now_unix_seconds);

  // From the return on, neither this token nor any below it is answered with what was read before.
  void Drop(const Sha256Digest& hash);
  void DropAll();

  [[nodiscard]] std::size_t size() const;

 private:
  struct HashOfDigest {
    // The digests are keyed: nobody can aim at a bucket.
    std::size_t operator()(const Sha256Digest& digest) const {
      std::size_t value = 0;
      std::memcpy(&value, digest.data(), sizeof value);
      return value;
    }
  };
  struct Entry {
    TokenLinkHandle link;
    PrincipalHandle principal;
    std::uint64_t policy_generation = 0;
  };
  using Entries = std::unordered_map<Sha256Digest, Entry, HashOfDigest>;
  struct alignas(64) Shard {
    mutable SharedMutex mutex;
    Entries entries KMS_GUARDED_BY(mutex);
    std::uint64_t epoch KMS_GUARDED_BY(mutex) = 0;
    std::size_t eviction_bucket KMS_GUARDED_BY(mutex) = 0;
  };
  static constexpr std::size_t kShards = 16;

  [[nodiscard]] Shard& ShardOf(const Sha256Digest& hash);
  [[nodiscard]] const Shard& ShardOf(const Sha256Digest& hash) const;
  static Entry EvictOne(Shard& shard, const Sha256Digest& keep) KMS_REQUIRES(shard.mutex);

  const std::size_t max_tokens_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace kms
