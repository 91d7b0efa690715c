// SPDX-License-Identifier: Apache-2.0
// Pausing in a thread that can be told to stop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace kms::api {

// False when `stop` was requested before the pause was over.
inline bool Pause(const std::stop_token& stop, std::chrono::milliseconds pause) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, pause, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace kms::api
