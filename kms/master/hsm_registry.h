// SPDX-License-Identifier: Apache-2.0
// HsmRegistry: the HSM tokens this service knows, by name, each behind its own breaker.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/master_key_device.h"

namespace kms {

class EpochCounter;
class GuardedDevice;
class ResidentKeyDevice;

// What one HSM token offers. The optional parts are nullptr where there is nothing behind them.
// `owner` keeps whatever the pointers point into.
struct HsmParts {
  std::shared_ptr<void> owner;
  MasterKeyDevice* master_keys = nullptr;      // never nullptr
  ResidentKeyDevice* resident_keys = nullptr;  // keys that live in the token
  EpochCounter* epochs = nullptr;              // counters that only grow
};

struct BreakerOptions {
  std::uint32_t max_calls = 16;                // in flight at once; others wait for their turn
  std::uint32_t max_waiting = 64;              // and no more than these
  // Calls that requests of callers wait for hold up so many threads at most while the token is slow:
  // more than `slow_after` a call. Further ones fail at once.
  std::uint32_t max_slow_requests = 4;
  std::chrono::milliseconds slow_after{250};
  std::uint32_t failures_to_open = 3;          // in a row
  std::chrono::milliseconds hung_after{1000};  // one failure that took so long opens it at once
  std::chrono::milliseconds first_pause{500};  // doubles up to the longest, less up to a quarter
  std::chrono::milliseconds longest_pause{5000};
  std::chrono::milliseconds call_timeout{0};  // of one call; 0: what the service says
};

enum class BreakerState : std::uint8_t {
  kClosed,    // calls go through
  kOpen,      // calls fail at once, until the pause is over
  kHalfOpen,  // one call probes, the others still fail at once
};
std::string_view BreakerStateName(BreakerState state);

// Of the answered calls of the last minutes, in microseconds.
struct LatencySummary {
  std::uint64_t calls = 0;
  std::uint64_t p50_us = 0;
  std::uint64_t p95_us = 0;
  std::uint64_t p99_us = 0;
};

struct HsmStatus {
  std::string name;
  DeviceStatistics device;
  BreakerState breaker = BreakerState::kClosed;
  std::optional<std::int64_t> retry_in_ms;  // while the breaker is open
  std::uint64_t breaker_opened = 0;         // how often
  std::uint32_t calls_in_flight = 0;
  std::uint32_t calls_waiting = 0;
  std::uint64_t refused_calls = 0;  // failed at once, by the breaker or a full queue
  LatencySummary latency;
  std::int64_t call_timeout_ms = 0;  // 0: what the service says
};

// Thread rule: any thread. Devices stay alive while anyone holds them.
class HsmRegistry {
 public:
  // `clock` must outlive it.
  explicit HsmRegistry(const Clock& clock);
  ~HsmRegistry();
  HsmRegistry(const HsmRegistry&) = delete;
  HsmRegistry& operator=(const HsmRegistry&) = delete;

  // Names: [a-z0-9][a-z0-9-]{0,31}. Errors: kInvalidArgument (name), kAlreadyExists.
  Status Add(const std::string& name, HsmParts parts, const BreakerOptions& options = {});
  // Forgets it; calls under way end on their own. Errors: kNotFound.
  Status Remove(std::string_view name);
  // The same, and remembers why it is not used, until one of that name is added.
  Status SetAside(const std::string& name, std::string reason);

  // nullptr when there is none of that name.
  [[nodiscard]] std::shared_ptr<GuardedDevice> Find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> Names() const;  // sorted
  // Empty for those that were not set aside.
  [[nodiscard]] std::string WhySetAside(std::string_view name) const;
  // Never blocks on a device.
  [[nodiscard]] std::vector<HsmStatus> Statuses() const;

 private:
  const Clock& clock_;
  mutable SharedMutex mutex_;
  std::map<std::string, std::shared_ptr<GuardedDevice>, std::less<>> devices_
      KMS_GUARDED_BY(mutex_);
  std::map<std::string, std::string, std::less<>> set_aside_ KMS_GUARDED_BY(mutex_);  // reasons
};

}  // namespace kms
