// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/task_run.h"

#include <algorithm>

#include "kms/tasks/task_entries.h"

namespace kms {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Whatever is saved less often is done again after a crash.
constexpr std::uint64_t kEntriesPerSave = 500;
constexpr milliseconds kSaveInterval{1000};

// A step that takes so many times what the fastest took meets somebody else's work.
constexpr double kLoadedFactor = 2;
constexpr double kLeastPatience = 0.5;
constexpr double kMostPatience = 8;
constexpr milliseconds kLongestLoadPause{500};
constexpr milliseconds kBusyPause{100};
constexpr int kMostBusyPauses = 300;

}  // namespace

Status SaveTask(SealedStore& sys, LiveTask& task) {
  const ScopedLock saving(task.save_mutex);
  return StoreTask(sys, task.Copy());
}

Status TaskRun::CheckInterrupted() const {
  return task_.interrupted() ? Status{Unavailable("the task was interrupted")} : Ok();
}

Status TaskRun::Begin(const std::string& step, std::uint64_t total) {
  KMS_TRY(CheckInterrupted());
  {
    const ScopedLock lock(task_.mutex);
    TaskRecord& record = task_.record;
    if (record.step != step) {
      record.step = step;
      record.cursor.clear();
      record.done = 0;
    }
    record.total = total;
  }
  ++progress_;
  saved_ = std::chrono::steady_clock::now();
  unsaved_ = 0;
  KMS_TRY(SaveTask(sys(), task_));
  WaitWhileBusy();
  return CheckInterrupted();
}

void TaskRun::Restart() {
  const ScopedLock lock(task_.mutex);
  task_.record.step.clear();
  task_.record.cursor.clear();
  task_.record.done = 0;
}

Status TaskRun::Advance(std::uint64_t seen, std::uint64_t changed, const std::string& cursor,
                        nanoseconds took) {
  {
    const ScopedLock lock(task_.mutex);
    TaskRecord& record = task_.record;
    record.done += seen;
    record.total = std::max(record.total, record.done);
    record.entries += changed;
    record.cursor = cursor;
  }
  ++progress_;
  unsaved_ += changed;
  const auto now = std::chrono::steady_clock::now();
  if (unsaved_ >= kEntriesPerSave || now - saved_ >= kSaveInterval) {
    KMS_TRY(SaveTask(sys(), task_));
    saved_ = now;
    unsaved_ = 0;
  }
  Pause(PauseFor(seen, changed, took));
  WaitWhileBusy();
  return CheckInterrupted();
}

// Not for ever: what keeps the service busy may never end.
void TaskRun::WaitWhileBusy() {
  for (int round = 0; round < kMostBusyPauses && !task_.interrupted(); ++round) {
    if (!options_.busy || !options_.busy()) {
      return;
    }
    Pause(kBusyPause);
  }
}

// Steps take turns with what clients ask for: after each there is a pause of about its own length,
// and a longer one while steps are slower than they could be.
nanoseconds TaskRun::PauseFor(std::uint64_t seen, std::uint64_t changed, nanoseconds took) {
  const double spent = static_cast<double>(took.count());
  const double per_entry = spent / static_cast<double>(std::max<std::uint64_t>(seen, 1));
  best_ns_per_entry_ =
      best_ns_per_entry_ <= 0 ? per_entry : std::min(best_ns_per_entry_ * 1.01, per_entry);
  const bool loaded = per_entry > kLoadedFactor * best_ns_per_entry_;
  patience_ = std::clamp(loaded ? patience_ * 2 : patience_ / 2, kLeastPatience, kMostPatience);
  const auto for_load = std::min<nanoseconds>(
      nanoseconds(static_cast<std::int64_t>(spent * patience_)), kLongestLoadPause);
  const std::uint32_t limit = task_.rate_limit.load();
  if (limit == 0) {
    return for_load;
  }
  const double due = 1e9 * static_cast<double>(changed) / limit;
  return std::max(for_load, nanoseconds(static_cast<std::int64_t>(std::max(due - spent, 0.0))));
}

void TaskRun::Pause(nanoseconds pause) {
  const auto until = std::chrono::steady_clock::now() + pause;
  const ScopedLock lock(task_.mutex);
  while (!task_.interrupted() && std::chrono::steady_clock::now() < until) {
    task_.changed.wait_until(task_.mutex, until);
  }
}

void TaskRun::Note(const std::string& note) {
  const ScopedLock lock(task_.mutex);
  std::vector<std::string>& notes = task_.record.notes;
  if (std::ranges::find(notes, note) == notes.end()) {
    notes.push_back(note);
  }
}

void TaskRun::ClearNotes() {
  const ScopedLock lock(task_.mutex);
  task_.record.notes.clear();
}

std::size_t TaskRun::StepSize() const {
  const std::uint32_t limit = task_.rate_limit.load();
  if (limit == 0) {
    return options_.page;
  }
  // Several steps in a second, so that a cancel or another limit is felt soon.
  return std::clamp<std::size_t>(limit / 4, 1, options_.page);
}

}  // namespace kms
