// SPDX-License-Identifier: Apache-2.0
// WorkerSupervisor: keeps one HSM worker running and passes calls to it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "pkcs11/worker_calls.h"
#include "pkcs11/worker_process.h"
#include "pkcs11/worker_protocol.h"
#include "pkcs11/worker_socket.h"

namespace kms::pkcs11 {

struct SupervisorOptions {
  WorkerLauncher launch;
  TokenOptions token;             // as the worker sees it
  std::string pin_file;           // to notice that the operator changed it; empty when not a file
  std::size_t max_waiting = 256;  // calls in flight
  std::chrono::milliseconds stuck_call_grace{5000};
  std::chrono::milliseconds start_timeout{30000};
  // A younger worker is not replaced for its memory: a limit that is too small costs some calls a
  // delay now and then, not the service.
  std::chrono::milliseconds shortest_life{10000};
};

// A worker that ended is replaced: the first time at once, then with growing pauses. One that is
// stuck (a call outlived its deadline by stuck_call_grace, no answer to the hello in start_timeout,
// no sign of life) is killed first. One that takes more memory than its limit gets no new calls,
// may end those under way, and is replaced. One that ended while its PIN was refused is not replaced before
// the PIN's file changes, so that a crash never costs another attempt.
// Thread rule: any thread. One thread of its own, however many calls wait.
class WorkerSupervisor {
 public:
  // Errors: kUnavailable (no memory can be locked, descriptors exhausted).
  static Result<std::unique_ptr<WorkerSupervisor>> Start(SupervisorOptions options);
  // Ends the worker within a second; calls in flight fail with kUnavailable.
  ~WorkerSupervisor();
  WorkerSupervisor(const WorkerSupervisor&) = delete;
  WorkerSupervisor& operator=(const WorkerSupervisor&) = delete;

  // Sends `body` and waits for its answer; a call lost with its worker is sent once more. Errors:
  // kUnavailable, kFailedPrecondition (an operator must act), kInvalidArgument (too large), and
  // what the worker answered.
  Result<WorkerReplyBody> Call(const WorkerRequestBody& body, Deadline deadline);

  // The process is about to stop: from now on a call has `patience` at most, those under way too.
  // The first one that takes longer ends the worker, and all others fail at once: a token that
  // hangs is waited for once.
  void LimitCalls(std::chrono::milliseconds patience);

  // Waits until the token behind the worker serves. Errors: kUnavailable at the deadline,
  // kFailedPrecondition at once when an operator must act; both with the reason.
  Status AwaitReady(Deadline deadline);

  // What is known now of worker and token; counters of calls are the caller's own. Never blocks.
  [[nodiscard]] DeviceStatistics Statistics() const;

 private:
  enum class Phase : std::uint8_t {
    kStarting,  // calls wait: a worker is on its way
    kServing,   // the worker has bound its token
    kPausing,   // the last workers ended early: the next one comes after a pause
    kRefused,   // an operator must act
  };

  WorkerSupervisor(SupervisorOptions options, FrameBuffer send_buffer, FrameBuffer receive_buffer,
                   UniqueFd wake);

  // Callers' side.
  // Holds nothing when the call was lost with its worker.
  Result<std::optional<WorkerReplyBody>> Attempt(const WorkerRequestBody& body, Deadline deadline);
  Status AwaitServing(std::unique_lock<std::mutex>& lock, Deadline deadline);
  // Waits on `changed` until `done`, at most to `deadline` or as LimitCalls says.
  template <typename Done>
  void AwaitLocked(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                   Deadline deadline, const Done& done);
  void StopLocked();
  Status SendLocked(std::uint64_t id, const WorkerRequestBody& body, Deadline deadline);
  [[nodiscard]] Error NotServingLocked() const;

  // The supervising thread's side.
  void Run();
  std::string ServeOneWorker(const WorkerProcess& process);
  Status Greet(const WorkerProcess& process);
  Status PollOnce(const WorkerProcess& process);
  [[nodiscard]] std::chrono::milliseconds PollTimeout() const;
  Status TakeReplies(const WorkerProcess& process);
  Status TakeReply(WorkerReply reply);
  Status CheckTimes();
  Status CheckMemory(const WorkerProcess& process);
  void SettleLocked();
  void EndWorker(WorkerProcess& process, const std::string& why);
  void Pause();
  void SetPhaseLocked(Phase phase);
  [[nodiscard]] std::string PinStamp() const;
  [[nodiscard]] bool stopping() const;

  const SupervisorOptions options_;
  const UniqueFd wake_;  // an eventfd: stopping_ was set
  // The supervising thread's.
  FrameBuffer receive_buffer_;
  int failures_in_a_row_ = 0;
  std::string pin_stamp_;  // of the PIN's file when the worker was started
  Deadline memory_checked_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // phase_, token_ or stopping_
  // Guarded by mutex_.
  bool stopping_ = false;
  std::optional<std::chrono::milliseconds> patience_;  // see LimitCalls
  Deadline limited_at_;
  Phase phase_ = Phase::kStarting;
  int socket_ = -1;
  FrameBuffer send_buffer_;
  WorkerCalls calls_;
  std::size_t waiting_for_worker_ = 0;
  DeviceStatistics token_;  // as the worker last reported, or why there is none
  bool bound_ = false;      // the hello was accepted
  std::optional<Deadline> retires_at_;  // at the latest; it is above its memory limit
  std::uint64_t memory_ = 0;
  std::uint64_t replacements_ = 0;
  bool ready_before_ = false;
  bool ready_now_ = false;
  std::uint64_t reconnects_before_ = 0;  // other than those that the present worker reports
  std::uint64_t launches_ = 0;
  std::uint64_t abandoned_ = 0;
  std::uint64_t hello_id_ = 0;
  std::uint64_t statistics_id_ = 0;  // 0: none under way
  Deadline started_;
  Deadline statistics_sent_;

  std::thread thread_;
};

}  // namespace kms::pkcs11
