// SPDX-License-Identifier: Apache-2.0
// UsageCounter: how often one key version has encrypted. Counts come out of ranges that were
// recorded in the store before they are used: a crash wastes counts and never repeats them.
#pragma once

#include <atomic>
#include <cstdint>

namespace kms {

// Shared by every snapshot of a key. Thread rule: any thread; Extend one at a time.
class UsageCounter {
 public:
  // Nothing is leased yet; `used` is what the store knows to be gone.
  explicit UsageCounter(std::uint64_t used) : next_(used), end_(used) {}

  // Takes `uses` of the leased range: false, and nothing is taken, when it has fewer left.
  [[nodiscard]] bool TryTake(std::uint64_t uses) {
    std::uint64_t next = next_.load(std::memory_order_relaxed);
    do {
      if (end_.load(std::memory_order_relaxed) - next < uses) {
        return false;
      }
    } while (!next_.compare_exchange_weak(next, next + uses, std::memory_order_relaxed));
    return true;
  }

  // The store has recorded the range up to `end`, which never goes down.
  void Extend(std::uint64_t end) { end_.store(end, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t used() const { return next_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t leased_until() const { return end_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> next_;
  std::atomic<std::uint64_t> end_;
};

}  // namespace kms
