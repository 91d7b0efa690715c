// SPDX-License-Identifier: Apache-2.0
// EpochKeeper: raises the epoch in the HSM tokens while the store moves, on a thread that ends with
// it.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "kms/backup/store_guard.h"
#include "kms/operations/environments.h"

namespace kms::api {

// How much of the past an older store could hide in. Each raise replaces an object in the token:
// more often would wear some of them out.
inline constexpr std::chrono::milliseconds kEpochInterval{60'000};

class EpochKeeper {
 public:
  // Calls `moved` after each raise, for a signed checkpoint. All must outlive it.
  EpochKeeper(StoreGuard& guard, Environments& environments, std::function<void()> moved,
              std::chrono::milliseconds interval = kEpochInterval);

 private:
  std::jthread thread_;
};

}  // namespace kms::api
