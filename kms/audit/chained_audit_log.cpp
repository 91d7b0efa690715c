// SPDX-License-Identifier: Apache-2.0
// ChainedAuditLog: requests fill a batch, one thread writes it.
#include "kms/audit/chained_audit_log.h"

#include <algorithm>
#include <utility>

#include "kms/audit/record.h"
#include "kms/base/short_slices.h"

namespace kms {
namespace {

// Ranges of failed tickets that are remembered; callers ask within seconds.
constexpr std::size_t kMaxFailedRanges = 1024;
constexpr std::chrono::milliseconds kMaxWatchdogInterval{1000};

Error NotAvailable(std::string detail) {
  return Unavailable("the audit log is not available", std::move(detail));
}

Error ExplainOpenFailure(Error error, const std::string& path) {
  if (error.code == ErrorCode::kCorrupted) {
    error.public_message = "the audit log " + path +
                           " is damaged at its end: verify it, then move it aside to start a new "
                           "one (" +
                           error.public_message + ")";
  }
  return error;
}

}  // namespace

Result<std::unique_ptr<ChainedAuditLog>> ChainedAuditLog::Open(AuditOptions options,
                                                               const Clock& clock) {
  if (!options.open_file) {
    options.open_file = [path = options.path] { return OpenAuditFile(path); };
  }
  Result<std::unique_ptr<ChainWriter>> writer =
      ChainWriter::Open({.open_file = options.open_file,
                         .durability = options.durability,
                         .check_interval = options.check_interval,
                         .store_revision = options.store_revision},
                        clock);
  if (!writer.has_value()) {
    return ExplainOpenFailure(writer.error(), options.path);
  }
  return std::make_unique<ChainedAuditLog>(Private{}, std::move(options), clock,
                                           std::move(*writer));
}

ChainedAuditLog::ChainedAuditLog(Private, AuditOptions options, const Clock& clock,
                                 std::unique_ptr<ChainWriter> writer)
    : options_(std::move(options)),
      clock_(clock),
      writer_(std::move(writer)),
      store_revision_at_open_(writer_->store_revision()),
      head_(writer_->head()),
      writer_thread_([this] { RunWriter(); }),
      watchdog_thread_([this] { RunWatchdog(); }) {}

ChainedAuditLog::~ChainedAuditLog() {
  {
    const ScopedLock lock(queue_mutex_);
    stopping_ = true;
  }
  queue_changed_.notify_all();
  writer_thread_.join();
  {
    const ScopedLock lock(results_mutex_);
    watchdog_stops_ = true;
  }
  watchdog_wakes_.notify_all();
  watchdog_thread_.join();
}

// ---- callers' side -----------------------------------------------------------------------------

Result<AuditTicket> ChainedAuditLog::Append(std::string_view members) {
  if (members.empty() || members.size() > kMaxAuditMembersBytes ||
      members.find('\n') != std::string_view::npos) {
    return Internal("an audit record is empty, too long or not one line");
  }
  if (IsStalled()) {
    return NotAvailable("a write has not ended in time");
  }
  const ScopedLock lock(queue_mutex_);
  if (queue_.records() >= options_.max_queued_records ||
      queue_.bytes() + members.size() > options_.max_queued_bytes) {
    return NotAvailable("the queue is full");
  }
  queue_.Add(members);
  return ++last_ticket_;
}

void ChainedAuditLog::Wake() {
  bool notify = false;
  {
    const ScopedLock lock(queue_mutex_);
    wake_ = true;
    notify = std::exchange(writer_waits_, false);
  }
  if (notify) {
    queue_changed_.notify_one();
  }
}

void ChainedAuditLog::Reopen() {
  {
    const ScopedLock lock(queue_mutex_);
    reopen_ = true;
  }
  Wake();
}

AuditState ChainedAuditLog::State(AuditTicket ticket) const {
  if (ticket <= settled_.load(std::memory_order_acquire) && !any_failure_.load()) {
    return AuditState::kCommitted;
  }
  const ScopedLock lock(results_mutex_);
  return StateLocked(ticket);
}

AuditState ChainedAuditLog::StateLocked(AuditTicket ticket) const {
  if (ticket > settled_.load(std::memory_order_acquire)) {
    return IsStalled() ? AuditState::kFailed : AuditState::kPending;
  }
  const auto range = std::ranges::lower_bound(failures_, ticket, {}, &FailedRange::last);
  const bool failed = ticket <= forgotten_ || (range != failures_.end() && range->first <= ticket);
  return failed ? AuditState::kFailed : AuditState::kCommitted;
}

Status ChainedAuditLog::Await(AuditTicket ticket, Deadline deadline) {
  Wake();
  const ScopedLock lock(results_mutex_);
  while (StateLocked(ticket) == AuditState::kPending) {
    if (results_changed_.wait_until(results_mutex_, deadline) == std::cv_status::timeout) {
      break;
    }
  }
  switch (StateLocked(ticket)) {
    case AuditState::kCommitted: return Ok();
    case AuditState::kFailed: return NotAvailable("the record could not be written");
    case AuditState::kPending: break;
  }
  return NotAvailable("the record was not written in time");
}

void ChainedAuditLog::Subscribe(std::function<void()> listener) {
  listeners_.push_back(std::move(listener));
}

bool ChainedAuditLog::healthy() const { return last_write_succeeded_.load() && !IsStalled(); }

AuditHead ChainedAuditLog::head() const {
  const ScopedLock lock(results_mutex_);
  return head_;
}

Status ChainedAuditLog::AcceptStore(std::uint64_t revision, std::uint64_t epoch) {
  KMS_TRY(writer_->AcceptStore(revision, epoch));
  const ScopedLock lock(results_mutex_);
  head_ = writer_->head();
  return Ok();
}

bool ChainedAuditLog::IsStalled() const {
  const SteadyTime::rep since = writing_since_.load(std::memory_order_relaxed);
  return since != 0 &&
         clock_.SteadyNow().time_since_epoch().count() - since >
             std::chrono::duration_cast<SteadyTime::duration>(options_.stall_timeout).count();
}

// ---- the writer's thread -----------------------------------------------------------------------

void ChainedAuditLog::RunWriter() {
  AskForShortSlices();
  AuditBatch batch;
  while (TakeBatch(batch)) {
    WriteBatch(batch);
    batch.Clear();
  }
}

// Waits for work and swaps the queue with `batch` (empty). Returns false when all is done.
bool ChainedAuditLog::TakeBatch(AuditBatch& batch) {
  const ScopedLock lock(queue_mutex_);
  while (!wake_ && !stopping_) {
    writer_waits_ = true;
    if (last_write_succeeded_.load()) {
      queue_changed_.wait(queue_mutex_);
    } else if (queue_changed_.wait_for(queue_mutex_, options_.retry_interval) ==
               std::cv_status::timeout) {
      break;
    }
  }
  writer_waits_ = false;
  wake_ = false;
  std::swap(batch, queue_);
  if (std::exchange(reopen_, false)) {
    writer_->RequestReopen();
  }
  return !stopping_ || batch.records() != 0;
}

void ChainedAuditLog::WriteBatch(const AuditBatch& batch) {
  writing_since_ = clock_.SteadyNow().time_since_epoch().count();
  const Status written = writer_->Write(batch);
  writing_since_ = 0;
  Settle(batch.records(), written);
  Announce();
}

void ChainedAuditLog::Settle(std::size_t records, const Status& written) {
  const ScopedLock lock(results_mutex_);
  const AuditTicket before = settled_.load();
  last_write_succeeded_ = written.has_value();
  head_ = writer_->head();
  if (!written.has_value() && records != 0) {
    any_failure_ = true;
    const bool continues = !failures_.empty() && failures_.back().last == before;
    if (continues) {
      failures_.back().last = before + records;
    } else {
      failures_.push_back({.first = before + 1, .last = before + records});
    }
    if (failures_.size() > kMaxFailedRanges) {
      forgotten_ = failures_.front().last;
      failures_.pop_front();
    }
  }
  settled_.store(before + records, std::memory_order_release);
}

void ChainedAuditLog::Announce() {
  results_changed_.notify_all();
  for (const auto& listener : listeners_) {
    listener();
  }
}

// ---- the watchdog's thread ---------------------------------------------------------------------

// A stalled write cannot be interrupted, so another thread tells those who wait for it.
void ChainedAuditLog::RunWatchdog() {
  const auto interval =
      std::min(options_.stall_timeout / 4 + std::chrono::milliseconds{1}, kMaxWatchdogInterval);
  while (WatchdogGoesOn(interval)) {
    if (IsStalled()) {
      Announce();
    }
  }
}

bool ChainedAuditLog::WatchdogGoesOn(std::chrono::milliseconds pause) {
  const ScopedLock lock(results_mutex_);
  if (!watchdog_stops_) {
    watchdog_wakes_.wait_for(results_mutex_, pause);
  }
  return !watchdog_stops_;
}

}  // namespace kms
