// SPDX-License-Identifier: Apache-2.0
// WorkerCalls: the requests a worker has not answered yet, and who waits for them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "pkcs11/worker_protocol.h"

namespace kms::pkcs11 {

// One caller's wait. Guarded by the mutex of the WorkerSupervisor that owns the table.
struct WaitingCall {
  std::condition_variable changed;
  std::optional<WorkerReplyBody> reply;
  bool lost = false;  // the worker ended before it answered
};

// Not thread-safe: the supervisor's mutex guards it.
class WorkerCalls {
 public:
  explicit WorkerCalls(std::size_t limit) : limit_(limit) {}

  struct Entry {
    std::uint64_t id = 0;
    std::shared_ptr<WaitingCall> call;
  };
  // Errors: kUnavailable when the limit is reached, calls that nobody waits for included: the
  // worker still works on them.
  Result<Entry> Add(Deadline deadline);
  // A number for a message that nobody waits for.
  std::uint64_t NextId() { return ++last_id_; }
  // Takes a call out that was never sent.
  void Remove(std::uint64_t id) { in_flight_.erase(id); }
  // Its caller has given up; the call stays until the worker answers or ends.
  void Abandon(std::uint64_t id);
  // False when no call has this id.
  bool Complete(std::uint64_t id, WorkerReplyBody body);
  // So that whoever waits looks at the clock again.
  void WakeAll() const;
  // The worker has ended: every call is lost.
  void LoseAll();

  // The earliest deadline of all calls in flight.
  [[nodiscard]] std::optional<Deadline> EarliestDeadline() const;
  [[nodiscard]] std::size_t size() const { return in_flight_.size(); }

 private:
  struct InFlight {
    Deadline deadline;
    std::shared_ptr<WaitingCall> call;  // null when abandoned
  };

  const std::size_t limit_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, InFlight> in_flight_;
};

}  // namespace kms::pkcs11
