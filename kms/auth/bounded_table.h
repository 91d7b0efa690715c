// SPDX-License-Identifier: Apache-2.0
// BoundedTable: counters for whoever comes, in memory that was measured out beforehand. When there
// is no room the counter that says least makes room: a flood of strangers pushes out strangers.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/digest.h"
#include "kms/base/mutex.h"
#include "kms/base/random.h"

namespace kms {

// Makes the keys of a table. They are secret, so that nobody can choose whose place to take.
class TableKeys {
 public:
  TableKeys() { FillRandom(secret_); }

  // The same for the same parts only. About 0.1 us, no allocation.
  [[nodiscard]] std::uint64_t Of(std::uint8_t kind, ByteView first, ByteView second = {},
                                 ByteView third = {}, ByteView fourth = {}) const {
    const std::array<std::uint64_t, 5> head = {kind, first.size(), second.size(), third.size(),
                                               fourth.size()};
    const auto bytes = std::bit_cast<std::array<std::uint8_t, sizeof(head)>>(head);
    const Sha256Digest digest = Sha256({secret_, bytes, first, second, third, fourth});
    std::uint64_t key = 0;
    for (std::size_t i = 0; i < sizeof(key); ++i) {
      key = key << 8U | digest[i];
    }
    return key == 0 ? 1 : key;
  }

 private:
  std::array<std::uint8_t, 32> secret_{};
};

// `Value` is default constructible and has `std::int64_t Weight(SteadyTime now) const`: what would
// be lost without it; 0: nothing. Thread rule: any thread; calls lock one of 64 parts of the table.
template <typename Value>
class BoundedTable {
 public:
  // Room for `capacity` values, rounded up to a power of two and at least 8. All of it at once.
  explicit BoundedTable(std::size_t capacity)
      : set_mask_(std::bit_ceil((capacity + kWays - 1) / kWays) - 1),
        sets_(std::make_unique<Set[]>(set_mask_ + 1)) {}

  [[nodiscard]] std::size_t capacity() const { return (set_mask_ + 1) * kWays; }

  // Calls `use(Value&)` with the value of `key`, which is made when there is none, and returns what
  // it returns. `use` must be short, must not call the table and must not throw.
  template <typename Use>
  auto With(std::uint64_t key, SteadyTime now, Use&& use) {
    const ScopedLock lock(LockOf(key));
    return use(Claim(SetOf(key), key, now));
  }

  // The same with a value that is there; false when there is none.
  template <typename Use>
  bool IfPresent(std::uint64_t key, Use&& use) {
    const ScopedLock lock(LockOf(key));
    for (Slot& slot : SetOf(key)) {
      if (slot.key == key) {
        use(*slot.value);
        return true;
      }
    }
    return false;
  }

  // Calls `visit(Value&)` with every value, set by set; drops those for which it returns false.
  template <typename Visit>
  void ForEach(Visit&& visit) {
    for (std::size_t index = 0; index <= set_mask_; ++index) {
      const ScopedLock lock(locks_[index % kLocks]);
      for (Slot& slot : sets_[index]) {
        if (slot.key != 0 && !visit(*slot.value)) {
          slot.key = 0;
          slot.value.reset();
        }
      }
    }
  }

 private:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kLocks = 64;

  struct Slot {
    std::uint64_t key = 0;  // 0: free
    std::optional<Value> value;
  };
  using Set = std::array<Slot, kWays>;

  Set& SetOf(std::uint64_t key) { return sets_[key & set_mask_]; }
  Mutex& LockOf(std::uint64_t key) { return locks_[(key & set_mask_) % kLocks]; }

  // The lock of the set is held.
  static Value& Claim(Set& set, std::uint64_t key, SteadyTime now) {
    Slot* victim = nullptr;
    std::int64_t least = 0;
    for (Slot& slot : set) {
      if (slot.key == key) {
        return *slot.value;
      }
      const std::int64_t weight = slot.key == 0 ? -1 : slot.value->Weight(now);
      if (victim == nullptr || weight < least) {
        victim = &slot;
        least = weight;
      }
    }
    victim->key = key;
    return victim->value.emplace();
  }

  const std::size_t set_mask_;
  std::array<Mutex, kLocks> locks_;  // set i is guarded by locks_[i % kLocks]
  const std::unique_ptr<Set[]> sets_;
};

}  // namespace kms
