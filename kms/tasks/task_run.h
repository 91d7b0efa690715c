// SPDX-License-Identifier: Apache-2.0
// TaskRun: one run of a task as its work sees it: what it is to do, how far it came, when to pause.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <string>

#include "kms/audit/audit_log.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/guarded_device.h"
#include "kms/operations/environments.h"
#include "kms/tasks/task_record.h"

namespace kms {

struct TaskRunnerOptions {
  std::size_t max_running = 4;  // at once; others wait for their turn
  // Entries of one step. Small, so that a step ends before the scheduler would let somebody else
  // run: with 100 entries the p99 of other requests was four times as high as without a rotation.
  std::size_t page = 8;
  std::chrono::milliseconds hsm_timeout{5000};  // per HSM call
  // How long writes under way are waited for before a key is forgotten.
  std::chrono::milliseconds commit_timeout{30000};
  // After a failure that may pass: pauses that double, and no more than so many in a row.
  std::chrono::milliseconds first_pause{1000};
  std::chrono::milliseconds longest_pause{30000};
  int max_failures = 20;
  // How long an operator's cancel waits for the step under way.
  std::chrono::milliseconds cancel_timeout{10000};
  std::int64_t remembered_seconds = 30 * 86'400;  // after the end
  AuditLog* audit = nullptr;                      // begin and end of each run are recorded here
  // The head of the audit log for statements, in hexadecimal; empty: they have none.
  std::function<std::string()> audit_head;
  // Whether something must not wait for tasks, for example leases that get old while tasks keep
  // the HSMs occupied: tasks wait meanwhile, half a minute at most. Empty: never.
  std::function<bool()> busy;
  // Told how each run ended: for the service log. Empty: nobody is told.
  std::function<void(const TaskRecord& record)> ended;
  // Told what somebody should look at. Empty: nobody is told.
  std::function<void(std::string_view what)> alarm;
};

// A task in memory. Thread rule: members say.
struct LiveTask {
  mutable Mutex mutex;
  TaskRecord record KMS_GUARDED_BY(mutex);
  bool active KMS_GUARDED_BY(mutex) = false;  // runs, or waits for its turn
  std::condition_variable_any changed;        // with `mutex`: active, or one of the flags below
  Mutex save_mutex;  // one save at a time, so that the newest is the last; held over a commit
  std::atomic<bool> cancel = false;
  std::atomic<bool> stop = false;  // the process ends: it goes on after the next start
  std::atomic<std::uint32_t> rate_limit = 0;

  [[nodiscard]] TaskRecord Copy() const {
    const ScopedLock lock(mutex);
    return record;
  }
  [[nodiscard]] bool interrupted() const { return cancel.load() || stop.load(); }
};

// Stores the record as it is now. Errors: store errors.
Status SaveTask(SealedStore& sys, LiveTask& task);

// Thread rule: the task's own thread.
class TaskRun {
 public:
  // All must outlive it.
  TaskRun(LiveTask& task, Environments& environments, const Clock& clock,
          const TaskRunnerOptions& options)
      : task_(task), environments_(environments), clock_(clock), options_(options) {}

  [[nodiscard]] TaskRecord record() const { return task_.Copy(); }
  [[nodiscard]] Environments& environments() const { return environments_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] const TaskRunnerOptions& options() const { return options_; }
  [[nodiscard]] SealedStore& sys() const { return environments_.sys()->store(); }
  // Of a call to that token which begins now.
  [[nodiscard]] Deadline HsmDeadline(const GuardedDevice& device) const {
    return device.DeadlineFrom(clock_.SteadyNow(), options_.hsm_timeout);
  }

  // Says what comes next and saves it; a step that was interrupted keeps its cursor and count.
  // Errors: kUnavailable when the run is interrupted; store errors.
  Status Begin(const std::string& step, std::uint64_t total);
  // `seen` entries more were looked at and `changed` of them changed within `took`; the step goes
  // on at `cursor`. Saves now and then, and pauses as limit and load demand. Errors: as Begin.
  Status Advance(std::uint64_t seen, std::uint64_t changed, const std::string& cursor,
                 std::chrono::nanoseconds took);
  // The step begins anew.
  void Restart();
  // Something that somebody should know; said once.
  void Note(const std::string& note);
  void ClearNotes();
  // How many entries the next step should have at most, by the limit.
  [[nodiscard]] std::size_t StepSize() const;
  // Errors: kUnavailable when the run is interrupted.
  [[nodiscard]] Status CheckInterrupted() const;
  // How often something was achieved, so that failures in a row can be told.
  [[nodiscard]] std::uint64_t progress() const { return progress_; }

  // Waits; returns early when the run is interrupted.
  void Pause(std::chrono::nanoseconds pause);

 private:
  void WaitWhileBusy();
  [[nodiscard]] std::chrono::nanoseconds PauseFor(std::uint64_t seen, std::uint64_t changed,
                                                  std::chrono::nanoseconds took);

  LiveTask& task_;
  Environments& environments_;
  const Clock& clock_;
  const TaskRunnerOptions& options_;

  std::uint64_t progress_ = 0;
  std::uint64_t unsaved_ = 0;
  std::chrono::steady_clock::time_point saved_{};
  double best_ns_per_entry_ = 0;
  double patience_ = 1;  // how many times what a step took is paused after it
};

}  // namespace kms
