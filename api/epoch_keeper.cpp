// SPDX-License-Identifier: Apache-2.0
#include "api/epoch_keeper.h"

#include <stop_token>
#include <utility>

#include "api/pause.h"

namespace kms::api {

EpochKeeper::EpochKeeper(StoreGuard& guard, Environments& environments,
                         std::function<void()> moved, std::chrono::milliseconds interval)
    : thread_([&guard, &environments, moved = std::move(moved),
               interval](const std::stop_token& stop) {
        while (Pause(stop, interval)) {
          if (guard.Raise(environments)) {
            moved();
          }
        }
      }) {}

}  // namespace kms::api
