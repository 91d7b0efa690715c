// SPDX-License-Identifier: Apache-2.0
// Callers encode and send on their own threads, under the mutex and without blocking; what the
// supervising thread does is in worker_supervision.cpp.
#include "pkcs11/worker_supervisor.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kms::pkcs11 {

namespace {

using std::chrono::ceil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

}  // namespace

// ---- life --------------------------------------------------------------------------------------

Result<std::unique_ptr<WorkerSupervisor>> WorkerSupervisor::Start(SupervisorOptions options) {
  FrameBuffer send_buffer = KMS_TRY(FrameBuffer::Create());
  FrameBuffer receive_buffer = KMS_TRY(FrameBuffer::Create());
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.get() < 0) {
    return Unavailable("HSM worker cannot be started", std::strerror(errno));
  }
  std::unique_ptr<WorkerSupervisor> supervisor(new WorkerSupervisor(
      std::move(options), std::move(send_buffer), std::move(receive_buffer), std::move(wake)));
  supervisor->thread_ = std::thread([raw = supervisor.get()] { raw->Run(); });
  return supervisor;
}

WorkerSupervisor::WorkerSupervisor(SupervisorOptions options, FrameBuffer send_buffer,
                                   FrameBuffer receive_buffer, UniqueFd wake)
    : options_(std::move(options)),
      wake_(std::move(wake)),
      receive_buffer_(std::move(receive_buffer)),
      send_buffer_(std::move(send_buffer)),
      calls_(options_.max_waiting) {
  token_.state_reason = "the HSM worker is starting";
}

WorkerSupervisor::~WorkerSupervisor() {
  {
    const std::lock_guard lock(mutex_);
    StopLocked();
  }
  thread_.join();
}

// The supervising thread ends the worker, and with it the calls under way.
void WorkerSupervisor::StopLocked() {
  stopping_ = true;
  changed_.notify_all();
  calls_.WakeAll();
  ::eventfd_write(wake_.get(), 1);
}

void WorkerSupervisor::LimitCalls(milliseconds patience) {
  const std::lock_guard lock(mutex_);
  patience_ = patience;
  limited_at_ = steady_clock::now();
  changed_.notify_all();
  calls_.WakeAll();
}

bool WorkerSupervisor::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// ---- callers' side -----------------------------------------------------------------------------

Result<WorkerReplyBody> WorkerSupervisor::Call(const WorkerRequestBody& body, Deadline deadline) {
  const Deadline latest = std::min(deadline, steady_clock::now() + kMaxWorkerBudget);
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::optional<WorkerReplyBody> answer = KMS_TRY(Attempt(body, latest));
    if (answer.has_value()) {
      return *std::move(answer);
    }
  }
  const std::lock_guard lock(mutex_);
  return NotServingLocked();
}

Result<std::optional<WorkerReplyBody>> WorkerSupervisor::Attempt(const WorkerRequestBody& body,
                                                                 Deadline deadline) {
  std::unique_lock lock(mutex_);
  KMS_TRY(AwaitServing(lock, deadline));
  const WorkerCalls::Entry entry = KMS_TRY(calls_.Add(deadline));
  const Status sent = SendLocked(entry.id, body, deadline);
  if (!sent.has_value()) {
    calls_.Remove(entry.id);
    return sent.error();
  }
  WaitingCall& call = *entry.call;
  AwaitLocked(lock, call.changed, deadline,
              [&] { return call.lost || call.reply.has_value() || stopping_; });
  if (call.reply.has_value()) {
    return std::optional(*std::move(call.reply));
  }
  if (call.lost) {
    return std::optional<WorkerReplyBody>();
  }
  calls_.Abandon(entry.id);
  ++abandoned_;
  return Unavailable("HSM did not answer in time");
}

template <typename Done>
void WorkerSupervisor::AwaitLocked(std::unique_lock<std::mutex>& lock,
                                   std::condition_variable& changed, Deadline deadline,
                                   const Done& done) {
  const Deadline begun = steady_clock::now();
  const auto cut = [&] {
    return patience_.has_value() ? std::max(begun, limited_at_) + *patience_ : Deadline::max();
  };
  while (!done() && steady_clock::now() < std::min(deadline, cut())) {
    changed.wait_until(lock, std::min(deadline, cut()));
  }
  if (!done() && steady_clock::now() >= cut()) {
    StopLocked();
  }
}

Status WorkerSupervisor::AwaitServing(std::unique_lock<std::mutex>& lock, Deadline deadline) {
  if (steady_clock::now() >= deadline) {
    return Unavailable("HSM did not answer in time", "the deadline had passed before the call");
  }
  if (waiting_for_worker_ >= options_.max_waiting) {
    return Unavailable("HSM is busy", "too many calls wait for an HSM worker");
  }
  ++waiting_for_worker_;
  AwaitLocked(lock, changed_, deadline,
              [this] { return stopping_ || phase_ != Phase::kStarting; });
  --waiting_for_worker_;
  if (stopping_ || phase_ != Phase::kServing) {
    return NotServingLocked();
  }
  return Ok();
}

Error WorkerSupervisor::NotServingLocked() const {
  if (phase_ == Phase::kRefused) {
    return FailedPrecondition("HSM needs an operator", token_.state_reason);
  }
  return Unavailable("HSM is unavailable", token_.state_reason);
}

Status WorkerSupervisor::SendLocked(std::uint64_t id, const WorkerRequestBody& body,
                                    Deadline deadline) {
  const auto budget = ceil<milliseconds>(deadline - steady_clock::now());
  const Result<ByteView> frame = EncodeRequest(id, budget, body, send_buffer_.memory());
  const Status sent = frame.has_value() ? SendFrame(socket_, *frame, TransferMode::kNeverBlocks)
                                        : Status(frame.error());
  send_buffer_.Wipe(frame.has_value() ? frame->size() : kMaxWorkerFrameBytes);
  if (sent.has_value() || sent.error().code == ErrorCode::kUnavailable) {
    return Ok();  // of a worker that is gone the supervising thread learns at the same moment
  }
  if (sent.error().code == ErrorCode::kResourceExhausted) {
    return Unavailable("HSM is busy", sent.error().detail);
  }
  return sent;
}

Status WorkerSupervisor::AwaitReady(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto decided = [this] { return stopping_ || token_.state != DeviceState::kDown; };
  changed_.wait_until(lock, deadline, decided);
  switch (token_.state) {
    case DeviceState::kReady: return Ok();
    case DeviceState::kDown: return Unavailable("HSM is unavailable", token_.state_reason);
    case DeviceState::kLockedOut:
    case DeviceState::kFatalConfig: break;
  }
  return FailedPrecondition("HSM needs an operator", token_.state_reason);
}

DeviceStatistics WorkerSupervisor::Statistics() const {
  const std::lock_guard lock(mutex_);
  DeviceStatistics statistics = token_;
  statistics.abandoned_calls = abandoned_;
  statistics.reconnects += reconnects_before_;
  statistics.worker_restarts = launches_ > 0 ? launches_ - 1 : 0;
  statistics.requests_waiting += static_cast<std::uint32_t>(waiting_for_worker_);
  statistics.worker_replacements = replacements_;
  statistics.worker_memory_bytes = memory_;
  return statistics;
}

}  // namespace kms::pkcs11
