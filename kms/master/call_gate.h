// SPDX-License-Identifier: Apache-2.0
// CallGate: what stands before every call to one HSM token: its breaker, its queue, its stopwatch.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/latency_histogram.h"

namespace kms {

// Thread rule: any thread; Run waits for its turn at most to the deadline, and its lock is not held
// over the call.
class CallGate {
 public:
  // `clock` must outlive it.
  CallGate(std::string name, const BreakerOptions& options, const Clock& clock);

  // The result of `call`, which returns a Result; kUnavailable without calling it while the breaker
  // is open, when the queue is full or when the deadline ends in it. A token that says that it is
  // full (kResourceExhausted) has answered; callers try again later as after kUnavailable, which
  // they get.
  template <typename Call>
  auto Run(Deadline deadline, Call call) -> decltype(call()) {
    const Pass pass = KMS_TRY(Enter(deadline));
    auto result = call();
    Leave(pass, result.has_value() || result.error().code != ErrorCode::kUnavailable);
    if (!result.has_value() && result.error().code == ErrorCode::kResourceExhausted) {
      result.error().code = ErrorCode::kUnavailable;
    }
    return result;
  }

  // As Run, for a call that somebody's request waits for: a slow token must not hold up the threads
  // that serve everybody (H7). kUnavailable without calling it when it holds up enough of them.
  template <typename Call>
  auto RunForRequest(Deadline deadline, Call call) -> decltype(call()) {
    const SteadyTime begun = KMS_TRY(BeginRequest());
    auto result = Run(deadline, std::move(call));
    EndRequest(begun);
    return result;
  }

  // Whether a call would be let in now, or after a short wait.
  [[nodiscard]] bool WouldTry() const;
  // Fills in everything but name and device.
  void Describe(HsmStatus& status) const;

 private:
  struct Pass {
    SteadyTime entered;
    bool probes = false;
  };

  Result<Pass> Enter(Deadline deadline);
  void Leave(const Pass& pass, bool answered);

  Result<SteadyTime> BeginRequest();
  void EndRequest(SteadyTime begun);

  [[nodiscard]] bool Refuses() const KMS_REQUIRES(mutex_);
  Error Refuse(const char* why) KMS_REQUIRES(mutex_);
  Status AwaitTurn(Deadline deadline) KMS_REQUIRES(mutex_);
  Pass LetIn() KMS_REQUIRES(mutex_);
  void Open() KMS_REQUIRES(mutex_);

  const std::string name_;
  const BreakerOptions options_;
  const Clock& clock_;

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  BreakerState state_ KMS_GUARDED_BY(mutex_) = BreakerState::kClosed;
  bool probing_ KMS_GUARDED_BY(mutex_) = false;
  SteadyTime retry_at_ KMS_GUARDED_BY(mutex_);
  std::chrono::milliseconds pause_ KMS_GUARDED_BY(mutex_){0};  // the last one; 0: none yet
  std::uint32_t failures_ KMS_GUARDED_BY(mutex_) = 0;          // in a row
  std::uint32_t in_flight_ KMS_GUARDED_BY(mutex_) = 0;
  std::uint32_t waiting_ KMS_GUARDED_BY(mutex_) = 0;
  std::uint64_t opened_ KMS_GUARDED_BY(mutex_) = 0;
  std::uint64_t refused_ KMS_GUARDED_BY(mutex_) = 0;
  LatencyHistogram latency_ KMS_GUARDED_BY(mutex_);
  std::multiset<SteadyTime> requests_ KMS_GUARDED_BY(mutex_);  // when each of them began
  bool slow_ KMS_GUARDED_BY(mutex_) = false;                   // the latest of them was
};

}  // namespace kms
