// SPDX-License-Identifier: Apache-2.0
// ChainedAuditLog: AuditLog in a file that proves itself: records carry the digest of the one
// before. Requests fill a batch, one thread writes it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kms/audit/audit_file.h"
#include "kms/audit/audit_log.h"
#include "kms/audit/chain_writer.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"

namespace kms {

struct AuditOptions {
  std::string path;
  AuditDurability durability = AuditDurability::kWrite;
  std::size_t max_queued_bytes = std::size_t{8} << 20U;
  std::size_t max_queued_records = 65'536;
  // A write that takes longer makes pending tickets fail and new records be refused until it ends.
  std::chrono::milliseconds stall_timeout{5000};
  // How often a failing log tries by itself whether it can write again.
  std::chrono::milliseconds retry_interval{1000};
  // How often the file is compared with its name and size.
  std::chrono::milliseconds check_interval{1000};
  // Opens the file; empty: OpenAuditFile(path).
  AuditFileOpener open_file;
  // The store's revision, which records carry (kms/audit/chain_writer.h). Called by the writer's
  // thread; must not block. Empty: they carry none.
  std::function<std::uint64_t()> store_revision;
};

// A record is committed when write (or fdatasync, by durability) returned for its whole batch. A
// failed batch is cut off again and its tickets fail; later records are tried anew, so the log
// heals when the disk does. A ticket that failed because of a stall may turn committed when the
// stalled write succeeds after all: a record without its answer is allowed, the reverse is not.
class ChainedAuditLog final : public AuditLog {
 private:
  struct Private {};

 public:
  // Opens or creates the file (mode 0600) and continues its chain; a record torn by a crash is cut
  // and the cut recorded. `clock` must outlive the log. Errors, written for the operator and naming
  // the file: kCorrupted, kFailedPrecondition, kUnavailable.
  static Result<std::unique_ptr<ChainedAuditLog>> Open(AuditOptions options, const Clock& clock);

  ChainedAuditLog(Private, AuditOptions options, const Clock& clock,
                  std::unique_ptr<ChainWriter> writer);
  // Writes what is queued. Waits for a write in progress.
  ~ChainedAuditLog() override;
  ChainedAuditLog(const ChainedAuditLog&) = delete;
  ChainedAuditLog& operator=(const ChainedAuditLog&) = delete;

  Result<AuditTicket> Append(std::string_view members) override;
  void Wake() override;
  [[nodiscard]] AuditState State(AuditTicket ticket) const override;
  Status Await(AuditTicket ticket, Deadline deadline) override;
  void Subscribe(std::function<void()> listener) override;
  [[nodiscard]] bool healthy() const override;

  // Opens the path again before the next batch: call on SIGHUP, after the file was rotated away.
  void Reopen();

  // The last committed record.
  [[nodiscard]] AuditHead head() const;

  // The newest revision of the store that the log had seen when it was opened; 0: none. A store
  // that is older has lost what was done since (D12).
  [[nodiscard]] std::uint64_t store_revision_at_open() const { return store_revision_at_open_; }
  // Records that a store at `revision` is used all the same, although the HSM tokens may hold a newer
  // `epoch` (0: they hold none). Call before other threads use the log. Errors: kUnavailable.
  Status AcceptStore(std::uint64_t revision, std::uint64_t epoch = 0);

 private:
  struct FailedRange {
    AuditTicket first;
    AuditTicket last;
  };

  void RunWriter();
  bool TakeBatch(AuditBatch& batch);
  void WriteBatch(const AuditBatch& batch);
  void Settle(std::size_t records, const Status& written);
  void RunWatchdog();
  bool WatchdogGoesOn(std::chrono::milliseconds pause);
  void Announce();
  [[nodiscard]] bool IsStalled() const;
  [[nodiscard]] AuditState StateLocked(AuditTicket ticket) const KMS_REQUIRES(results_mutex_);

  // Constant after construction.
  const AuditOptions options_;
  const Clock& clock_;
  std::vector<std::function<void()>> listeners_;

  // The writer thread's own.
  const std::unique_ptr<ChainWriter> writer_;
  const std::uint64_t store_revision_at_open_;

  // What waits to be written.
  Mutex queue_mutex_;
  std::condition_variable_any queue_changed_;
  AuditBatch queue_ KMS_GUARDED_BY(queue_mutex_);
  AuditTicket last_ticket_ KMS_GUARDED_BY(queue_mutex_) = 0;
  bool wake_ KMS_GUARDED_BY(queue_mutex_) = false;
  bool writer_waits_ KMS_GUARDED_BY(queue_mutex_) = false;
  bool reopen_ KMS_GUARDED_BY(queue_mutex_) = false;
  bool stopping_ KMS_GUARDED_BY(queue_mutex_) = false;

  // What became of it. A ticket above settled_ is pending; one below failed if a range holds it.
  mutable Mutex results_mutex_;
  std::condition_variable_any results_changed_;
  std::condition_variable_any watchdog_wakes_;
  std::deque<FailedRange> failures_ KMS_GUARDED_BY(results_mutex_);
  AuditTicket forgotten_ KMS_GUARDED_BY(results_mutex_) = 0;  // up to here: answered as failed
  AuditHead head_ KMS_GUARDED_BY(results_mutex_);
  bool watchdog_stops_ KMS_GUARDED_BY(results_mutex_) = false;
  std::atomic<AuditTicket> settled_{0};
  std::atomic<bool> any_failure_{false};
  std::atomic<bool> last_write_succeeded_{true};
  std::atomic<SteadyTime::rep> writing_since_{0};  // 0: no write in progress

  std::thread writer_thread_;
  std::thread watchdog_thread_;
};

}  // namespace kms
