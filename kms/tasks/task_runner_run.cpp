// SPDX-License-Identifier: Apache-2.0
// One run of a task: its attempts, its records in the audit log, and how it ends.
#include <algorithm>
#include <utility>

#include "kms/audit/record.h"
#include "kms/tasks/task_entries.h"
#include "kms/tasks/task_runner.h"

namespace kms {

namespace {

constexpr std::chrono::seconds kAuditTimeout{10};

}  // namespace

void TaskRunner::Run(LiveTask& task) {
  {
    const ScopedLock lock(task.mutex);
    task.record.started_unix_seconds = ToUnixSeconds(clock_.Now());
    task.record.error.clear();
  }
  const Status outcome = RunToItsEnd(task);
  if (task.stop) {
    // It is running as far as the store knows, and goes on after the next start.
    IgnoreError(SaveTask(sys(), task), "what was not saved is done again");
    return;
  }
  Finish(task, outcome);
}

Status TaskRunner::RunToItsEnd(LiveTask& task) {
  const TaskRecord record = task.Copy();
  const std::shared_ptr<Environment> environment =
      FindEnvironment(environments_, record.environment);
  if (environment == nullptr || environment->identity().id != record.environment_id) {
    return FailedPrecondition("environment " + record.environment +
                              " was deleted since the task was made");
  }
  TaskRun run(task, environments_, clock_, options_);
  bool recorded = false;
  int failures = 0;
  std::uint64_t progress = 0;
  std::chrono::milliseconds pause = options_.first_pause;
  while (true) {
    Status done = recorded ? Ok() : Record(record, /*begins=*/true);
    recorded = recorded || done.has_value();
    if (done.has_value()) {
      done = WorkOf(record.kind).run(run);
    }
    if (done.has_value() || task.interrupted() || !MayPass(done.error().code)) {
      return done;
    }
    if (run.progress() != progress) {
      failures = 0;
      pause = options_.first_pause;
    }
    progress = run.progress();
    if (++failures > options_.max_failures) {
      return done;
    }
    {
      const ScopedLock lock(task.mutex);
      task.record.error = done.error().public_message;
    }
    run.Pause(pause);
    pause = std::min(pause * 2, options_.longest_pause);
  }
}

// What became of it shows only once it is stored: who sees that a task is done may build on it.
void TaskRunner::Finish(LiveTask& task, const Status& outcome) {
  TaskRecord record = task.Copy();
  record.finished_unix_seconds = ToUnixSeconds(clock_.Now());
  record.error = outcome.has_value() || task.cancel ? "" : outcome.error().public_message;
  record.state = outcome.has_value() ? TaskState::kDone
                 : task.cancel       ? TaskState::kCancelled
                                     : TaskState::kFailed;
  if (record.state == TaskState::kDone) {
    record.step.clear();
    record.cursor.clear();
  }
  IgnoreError(Record(record, /*begins=*/false), "a task that ended cannot be undone");
  // Until it is stored it would run again after a restart, which does no harm.
  std::chrono::milliseconds pause = options_.first_pause;
  for (int failures = 0; !StoreEnd(task, record, failures >= options_.max_failures || task.stop);
       ++failures) {
    TaskRun(task, environments_, clock_, options_).Pause(pause);
    pause = std::min(pause * 2, options_.longest_pause);
  }
  if (options_.ended) {
    options_.ended(record);
  }
}

bool TaskRunner::StoreEnd(LiveTask& task, TaskRecord& record, bool last_try) {
  const ScopedLock saving(task.save_mutex);
  record.rate_limit = task.rate_limit;
  const Status stored = StoreTask(sys(), record);
  if (!stored.has_value() && !last_try) {
    return false;
  }
  const ScopedLock lock(task.mutex);
  task.record = record;
  task.active = false;
  task.changed.notify_all();
  return true;
}

Status TaskRunner::Record(const TaskRecord& record, bool begins) {
  if (options_.audit == nullptr) {
    return Ok();
  }
  const std::string id = record.id.ToString();
  const std::string path =
      "sys/environments/" + record.environment + "/" + std::string(TaskKindName(record.kind));
  const AuditRecord entry{.type = begins ? AuditRecordType::kRequest : AuditRecordType::kResponse,
                          .time = clock_.Now(),
                          .request_id = id,
                          .operation = begins ? "task-begin" : "task-end",
                          .path = path,
                          .name_space = {},
                          .environment = record.environment,
                          .key = {},
                          .key_version = record.VersionParameter("version"),
                          .accessor = record.accessor,
                          .display_name = record.asked_by,
                          .policies = {},
                          .remote_address = {},
                          .items = begins ? 0 : static_cast<std::int64_t>(record.entries),
                          .error = record.state == TaskState::kCancelled
                                       ? std::string_view("cancelled")
                                       : std::string_view(record.error)};
  std::string members;
  AppendAuditMembers(entry, members);
  const AuditTicket ticket = KMS_TRY(options_.audit->Append(members));
  return options_.audit->Await(ticket, clock_.SteadyNow() + kAuditTimeout);
}

}  // namespace kms
