// SPDX-License-Identifier: Apache-2.0
// DeadlineQueue: when to look at which connection again. Costs nothing while nobody is late.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "kms/base/clock.h"

namespace kms::api {

// Thread rule: one loop thread.
class DeadlineQueue {
 public:
  void Add(std::uint64_t id, Deadline when) { queue_.emplace(when, id); }
  void Remove(std::uint64_t id, Deadline when) { queue_.erase({when, id}); }

  [[nodiscard]] std::optional<Deadline> earliest() const {
    return queue_.empty() ? std::nullopt : std::optional{queue_.begin()->first};
  }

  // Takes the first entry that is due; nullopt when none is.
  std::optional<std::uint64_t> TakeDue(SteadyTime now) {
    if (queue_.empty() || queue_.begin()->first > now) {
      return std::nullopt;
    }
    const std::uint64_t id = queue_.begin()->second;
    queue_.erase(queue_.begin());
    return id;
  }

 private:
  std::set<std::pair<Deadline, std::uint64_t>> queue_;
};

}  // namespace kms::api
