// SPDX-License-Identifier: Apache-2.0
// The supervising thread: receives answers, watches clock and memory, starts and ends workers.
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "pkcs11/worker_supervisor.h"

namespace kms::pkcs11 {

namespace {

using std::chrono::ceil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// While a new worker's token is still connecting, calls wait for it this long.
constexpr milliseconds kSettleTime{3000};
constexpr milliseconds kFastStatistics{10};   // while calls wait for the token to connect
constexpr milliseconds kSlowStatistics{250};  // else
// A worker that does not even answer a request for statistics is frozen.
constexpr milliseconds kSignOfLife{10000};
// A worker that served this long was sound: its end counts as the first.
constexpr milliseconds kSoundLife{10000};
constexpr milliseconds kFirstPause{200};
constexpr milliseconds kLongestPause{2000};
constexpr milliseconds kRefusedPause{5000};
constexpr milliseconds kPinPollInterval{250};
// What a worker gets to end by itself, which is gentler to a token than SIGKILL.
constexpr milliseconds kEndTime{600};
constexpr milliseconds kReapTime{200};
// Answers taken before time, memory and the end of the process are looked at again: a worker that
// sends without end is none that its supervisor waits for.
constexpr int kRepliesPerRound = 64;
// What the calls under way get before their worker is replaced for its memory.
constexpr milliseconds kRetireTime{2000};

milliseconds PauseAfter(int failures) {
  if (failures <= 1) {
    return milliseconds{0};
  }
  return std::min(kFirstPause * (1 << std::min(failures - 2, 8)), kLongestPause);
}

std::string WithDetail(const Error& error) {
  return error.detail.empty() ? error.public_message
                              : error.public_message + " (" + error.detail + ")";
}

}  // namespace

void WorkerSupervisor::Run() {
  while (!stopping()) {
    pin_stamp_ = PinStamp();
    const auto launched = steady_clock::now();
    Result<std::unique_ptr<WorkerProcess>> process = options_.launch();
    {
      const std::lock_guard lock(mutex_);
      ++launches_;
      SetPhaseLocked(Phase::kStarting);
    }
    if (process.has_value()) {
      EndWorker(**process, ServeOneWorker(**process));
    } else {
      const std::lock_guard lock(mutex_);
      token_.state_reason = WithDetail(process.error());
    }
    failures_in_a_row_ = steady_clock::now() - launched > kSoundLife ? 1 : failures_in_a_row_ + 1;
    Pause();
  }
}

// Returns why it ended; empty when the connection did.
std::string WorkerSupervisor::ServeOneWorker(const WorkerProcess& process) {
  Status running = Greet(process);
  while (running.has_value() && !stopping()) {
    running = PollOnce(process);
  }
  if (running.has_value()) {
    return "was told to end";
  }
  return running.error().code == ErrorCode::kUnavailable ? "" : running.error().public_message;
}

Status WorkerSupervisor::Greet(const WorkerProcess& process) {
  const std::lock_guard lock(mutex_);
  socket_ = process.socket();
  bound_ = false;
  ready_now_ = false;
  started_ = steady_clock::now();
  statistics_id_ = 0;
  statistics_sent_ = started_;
  hello_id_ = calls_.NextId();
  return SendLocked(hello_id_, HelloRequest{options_.token}, started_ + options_.start_timeout);
}

Status WorkerSupervisor::PollOnce(const WorkerProcess& process) {
  pollfd events[] = {{.fd = process.socket(), .events = POLLIN, .revents = 0},
                     {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  ::poll(events, 2, static_cast<int>(PollTimeout().count()));
  if (events[0].revents != 0) {
    KMS_TRY(TakeReplies(process));
  }
  KMS_TRY(CheckTimes());
  return CheckMemory(process);
}

milliseconds WorkerSupervisor::PollTimeout() const {
  const std::lock_guard lock(mutex_);
  milliseconds timeout = phase_ == Phase::kStarting ? kFastStatistics : kSlowStatistics;
  if (const std::optional<Deadline> earliest = calls_.EarliestDeadline()) {
    const auto left =
        ceil<milliseconds>(*earliest + options_.stuck_call_grace - steady_clock::now());
    timeout = std::min(timeout, left);
  }
  return std::max(timeout, milliseconds{1});
}

Status WorkerSupervisor::TakeReplies(const WorkerProcess& process) {
  for (int taken = 0; taken < kRepliesPerRound; ++taken) {
    const ByteView frame =
        KMS_TRY(ReceiveFrame(process.socket(), receive_buffer_, TransferMode::kNeverBlocks));
    if (frame.empty()) {
      return Ok();
    }
    Result<WorkerReply> reply = DecodeReply(frame);
    receive_buffer_.Wipe(frame.size());
    if (!reply.has_value()) {
      return InvalidArgument("sent an answer that cannot be read", WithDetail(reply.error()));
    }
    KMS_TRY(TakeReply(*std::move(reply)));
  }
  return Ok();
}

Status WorkerSupervisor::TakeReply(WorkerReply reply) {
  const std::lock_guard lock(mutex_);
  if (reply.id == hello_id_) {
    const auto* const refused = std::get_if<Error>(&reply.body);
    if (refused != nullptr) {
      token_.state = DeviceState::kFatalConfig;
      token_.state_reason = WithDetail(*refused);
      return FailedPrecondition("could not bind its token: " + token_.state_reason);
    }
    bound_ = true;
    return Ok();
  }
  if (reply.id == statistics_id_) {
    statistics_id_ = 0;
    if (auto* const statistics = std::get_if<DeviceStatistics>(&reply.body)) {
      token_ = std::move(*statistics);
      SettleLocked();
    }
    return Ok();
  }
  calls_.Complete(reply.id, std::move(reply.body));
  return Ok();
}

// Lets calls through once the token has connected, or has had its time to.
void WorkerSupervisor::SettleLocked() {
  if (token_.state == DeviceState::kReady && !ready_now_) {
    ready_now_ = true;
    reconnects_before_ += ready_before_ ? 1 : 0;
    ready_before_ = true;
  }
  if (retires_at_.has_value()) {
    return;
  }
  const bool settled =
      token_.state != DeviceState::kDown || steady_clock::now() - started_ > kSettleTime;
  SetPhaseLocked(bound_ && settled ? Phase::kServing : phase_);
}

Status WorkerSupervisor::CheckTimes() {
  const std::lock_guard lock(mutex_);
  const auto now = steady_clock::now();
  if (!bound_ && now - started_ > options_.start_timeout) {
    return FailedPrecondition("did not bind its token in time");
  }
  const std::optional<Deadline> earliest = calls_.EarliestDeadline();
  if (earliest.has_value() && now > *earliest + options_.stuck_call_grace) {
    return FailedPrecondition("was stuck: a call of the HSM library did not return");
  }
  if (statistics_id_ != 0 && now - statistics_sent_ > kSignOfLife) {
    return FailedPrecondition("gave no sign of life");
  }
  const auto interval = phase_ == Phase::kStarting ? kFastStatistics : kSlowStatistics;
  if (statistics_id_ != 0 || now - statistics_sent_ < interval) {
    return Ok();
  }
  statistics_id_ = calls_.NextId();
  statistics_sent_ = now;
  return SendLocked(statistics_id_, StatisticsRequest(), now + kSignOfLife);
}

// Calls wait for the next worker from the moment that this one is found too large.
Status WorkerSupervisor::CheckMemory(const WorkerProcess& process) {
  const auto now = steady_clock::now();
  const std::uint64_t limit = options_.token.memory_limit_bytes;
  const bool measures = now - memory_checked_ >= kSlowStatistics;
  const std::uint64_t memory = measures ? process.MemoryBytes() : 0;
  memory_checked_ = measures ? now : memory_checked_;
  const std::lock_guard lock(mutex_);
  memory_ = measures ? memory : memory_;
  const bool too_large = measures && limit != 0 && memory > limit;
  if (too_large && !retires_at_.has_value() && now - started_ >= options_.shortest_life) {
    retires_at_ = now + kRetireTime;
    SetPhaseLocked(Phase::kStarting);
  }
  if (!retires_at_.has_value() || (calls_.size() > 0 && now < *retires_at_)) {
    return Ok();
  }
  ++replacements_;
  return FailedPrecondition("took more memory than its limit of " + std::to_string(limit >> 20U) +
                            " MiB");
}

void WorkerSupervisor::EndWorker(WorkerProcess& process, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    socket_ = -1;
    retires_at_.reset();
    memory_ = 0;
    SetPhaseLocked(Phase::kStarting);
    calls_.LoseAll();
    reconnects_before_ += std::exchange(token_.reconnects, 0);
  }
  process.Close();
  if (!process.WaitForEnd(steady_clock::now() + kEndTime)) {
    process.Kill();
    process.WaitForEnd(steady_clock::now() + kReapTime);
  }
  const std::lock_guard lock(mutex_);
  const DeviceState state = token_.state;
  std::string reason = std::move(token_.state_reason);
  token_ = {};
  if (state == DeviceState::kLockedOut || state == DeviceState::kFatalConfig) {
    token_.state = state;
    token_.state_reason = std::move(reason);
    return;
  }
  token_.state_reason = "the HSM worker " + (why.empty() ? process.ending() : why);
  changed_.notify_all();
}

// Nothing after the first end, then longer and longer; while an operator must act, until the PIN's
// file has changed (locked out) or for kRefusedPause (nothing was tried that counts).
void WorkerSupervisor::Pause() {
  std::unique_lock lock(mutex_);
  const bool locked_out = token_.state == DeviceState::kLockedOut;
  const bool refused = locked_out || token_.state == DeviceState::kFatalConfig;
  const milliseconds pause = refused ? kRefusedPause : PauseAfter(failures_in_a_row_);
  if (pause.count() == 0) {
    return;
  }
  SetPhaseLocked(refused ? Phase::kRefused : Phase::kPausing);
  const auto until = steady_clock::now() + pause;
  while (!stopping_ && (locked_out ? PinStamp() == pin_stamp_ : steady_clock::now() < until)) {
    const auto next = steady_clock::now() + kPinPollInterval;
    changed_.wait_until(lock, locked_out ? next : std::min(until, next),
                        [this] { return stopping_; });
  }
  if (locked_out) {
    token_ = {};
    token_.state_reason = "the HSM worker starts with the new PIN";
  }
}

void WorkerSupervisor::SetPhaseLocked(Phase phase) {
  phase_ = phase;
  changed_.notify_all();
}

std::string WorkerSupervisor::PinStamp() const {
  struct stat info{};
  if (options_.pin_file.empty() || ::stat(options_.pin_file.c_str(), &info) != 0) {
    return "";
  }
  return std::to_string(info.st_ino) + "/" + std::to_string(info.st_size) + "/" +
         std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
}

}  // namespace kms::pkcs11
