// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/task_runner.h"

#include <algorithm>
#include <utility>

#include "kms/tasks/task_entries.h"

namespace kms {

namespace {

Error NoSuchTask() { return NotFound("no such task"); }

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) {
    joined += (joined.empty() ? "" : "; ") + text;
  }
  return joined;
}

// The id of an environment that may be "sys"; nullopt when there is none of that name.
std::optional<Uuid> EnvironmentId(const Environments& environments, const std::string& name) {
  const std::shared_ptr<Environment> found = FindEnvironment(environments, name);
  return found == nullptr ? std::nullopt : std::optional<Uuid>(found->identity().id);
}

}  // namespace

// ---- life ---------------------------------------------------------------------------------------

TaskRunner::TaskRunner(Environments& environments, const Clock& clock, TaskRunnerOptions options)
    : environments_(environments), clock_(clock), options_(std::move(options)) {}

Result<std::unique_ptr<TaskRunner>> TaskRunner::Open(Environments& environments, const Clock& clock,
                                                     TaskRunnerOptions options) {
  std::unique_ptr<TaskRunner> runner(new TaskRunner(environments, clock, std::move(options)));
  const auto on_damage = [&](const std::string& path) {
    if (runner->options_.alarm) {
      runner->options_.alarm("the record of a task is damaged and left out: " + path);
    }
  };
  std::vector<TaskRecord> records = KMS_TRY(ReadTasks(runner->sys(), on_damage));
  const ScopedLock lock(runner->mutex_);
  for (TaskRecord& record : records) {
    auto task = std::make_shared<LiveTask>();
    task->rate_limit = record.rate_limit;
    const bool runs = record.state == TaskState::kRunning;
    {
      const ScopedLock record_lock(task->mutex);
      task->record = std::move(record);
      task->active = runs;
      runner->tasks_.emplace(task->record.id, task);
    }
    if (runs) {
      runner->waiting_.push_back(std::move(task));
    }
  }
  return runner;
}

TaskRunner::~TaskRunner() { Stop(); }

void TaskRunner::Stop() {
  {
    const ScopedLock lock(mutex_);
    stopping_ = true;
    for (const auto& [id, task] : tasks_) {
      task->stop = true;
      const ScopedLock task_lock(task->mutex);
      task->changed.notify_all();
    }
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void TaskRunner::Start() {
  for (std::size_t index = 0; index < options_.max_running; ++index) {
    threads_.emplace_back([this] { Work(); });
  }
}

void TaskRunner::Work() {
  while (true) {
    Handle task;
    {
      const ScopedLock lock(mutex_);
      while (waiting_.empty() && !stopping_) {
        changed_.wait(mutex_);
      }
      if (stopping_) {
        return;
      }
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    Run(*task);
  }
}

// ---- what operators do --------------------------------------------------------------------------

Result<TaskPlan> TaskRunner::Plan(const TaskRequest& request) {
  const PlanContext context{environments_, clock_, options_.hsm_timeout};
  return WorkOf(request.kind).plan(context, request);
}

Result<TaskRecord> TaskRunner::Submit(const TaskRequest& request) {
  IgnoreError(Tidy(), "what is over is forgotten another time");
  const ScopedLock submitting(submit_mutex_);
  {
    const ScopedLock lock(mutex_);
    KMS_TRY(CheckAlone(request.environment));
  }
  TaskPlan plan = KMS_TRY(Plan(request));
  if (!plan.refusals.empty()) {
    return InvalidArgument("this cannot be done now: " + Joined(plan.refusals));
  }
  const std::optional<Uuid> environment_id = EnvironmentId(environments_, request.environment);
  if (!environment_id) {
    return NotFound("no such environment");
  }
  auto task = std::make_shared<LiveTask>();
  task->rate_limit = request.rate_limit;
  {
    const ScopedLock lock(task->mutex);
    task->record.id = Uuid::Random();
    task->record.kind = request.kind;
    task->record.environment = request.environment;
    task->record.environment_id = *environment_id;
    task->record.parameters = std::move(plan.parameters);
    task->record.step = "waiting for its turn";
    task->record.rate_limit = request.rate_limit;
    task->record.created_unix_seconds = ToUnixSeconds(clock_.Now());
    task->record.asked_by = request.asked_by;
    task->record.accessor = request.accessor;
  }
  KMS_TRY(SaveTask(sys(), *task));
  TaskRecord record = task->Copy();
  const ScopedLock lock(mutex_);
  tasks_.emplace(record.id, task);
  KMS_TRY(Enqueue(task));
  return record;
}

Status TaskRunner::CheckAlone(const std::string& environment) const {
  for (const auto& [id, task] : tasks_) {
    const ScopedLock lock(task->mutex);
    if (task->active && task->record.environment == environment) {
      return MakeError(ErrorCode::kAlreadyExists, "task " + id.ToString() + " (" +
                                                      std::string(TaskKindName(task->record.kind)) +
                                                      ") of environment " + environment +
                                                      " runs: wait for it or cancel it");
    }
  }
  return Ok();
}

Status TaskRunner::Enqueue(const Handle& task) {
  task->cancel = false;
  {
    const ScopedLock lock(task->mutex);
    task->active = true;
  }
  waiting_.push_back(task);
  changed_.notify_one();
  return Ok();
}

TaskRunner::Handle TaskRunner::FindTask(const Uuid& id) const {
  const ScopedLock lock(mutex_);
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second;
}

std::optional<TaskRecord> TaskRunner::Find(const Uuid& id) const {
  const Handle task = FindTask(id);
  return task == nullptr ? std::nullopt : std::optional<TaskRecord>(task->Copy());
}

std::vector<TaskRecord> TaskRunner::List() const {
  std::vector<TaskRecord> records;
  {
    const ScopedLock lock(mutex_);
    for (const auto& [id, task] : tasks_) {
      records.push_back(task->Copy());
    }
  }
  std::ranges::sort(records, [](const TaskRecord& a, const TaskRecord& b) {
    return std::pair(-a.created_unix_seconds, a.id) < std::pair(-b.created_unix_seconds, b.id);
  });
  return records;
}

Result<TaskRecord> TaskRunner::Cancel(const Uuid& id) {
  const Handle task = FindTask(id);
  if (task == nullptr) {
    return NoSuchTask();
  }
  bool stands_in_line = false;
  {
    const ScopedLock lock(mutex_);
    const ScopedLock task_lock(task->mutex);
    if (!task->active) {
      return InvalidArgument("the task is " + std::string(TaskStateName(task->record.state)) +
                             " already");
    }
    task->cancel = true;
    task->changed.notify_all();
    stands_in_line = std::erase(waiting_, task) != 0;
  }
  if (stands_in_line) {
    Finish(*task, Unavailable("the task was interrupted"));
    return task->Copy();
  }
  const auto until = std::chrono::steady_clock::now() + options_.cancel_timeout;
  const ScopedLock lock(task->mutex);
  while (task->active && std::chrono::steady_clock::now() < until) {
    task->changed.wait_until(task->mutex, until);
  }
  if (task->active) {
    return Unavailable("the task ends after the step under way, which takes long");
  }
  return task->record;
}

Result<TaskRecord> TaskRunner::Resume(const Uuid& id) {
  const ScopedLock submitting(submit_mutex_);
  const Handle task = FindTask(id);
  if (task == nullptr) {
    return NoSuchTask();
  }
  {
    const ScopedLock lock(mutex_);
    const TaskRecord record = task->Copy();
    KMS_TRY(CheckAlone(record.environment));
    if (record.state == TaskState::kDone) {
      return InvalidArgument("the task is done already");
    }
  }
  TaskState before = TaskState::kRunning;
  {
    const ScopedLock lock(task->mutex);
    before = std::exchange(task->record.state, TaskState::kRunning);
  }
  const Status saved = SaveTask(sys(), *task);
  if (!saved.has_value()) {
    const ScopedLock lock(task->mutex);
    task->record.state = before;
    return saved.error();
  }
  const ScopedLock lock(mutex_);
  KMS_TRY(Enqueue(task));
  return task->Copy();
}

Result<TaskRecord> TaskRunner::Throttle(const Uuid& id, std::uint32_t rate_limit) {
  const Handle task = FindTask(id);
  if (task == nullptr) {
    return NoSuchTask();
  }
  {
    const ScopedLock lock(task->mutex);
    if (task->record.state == TaskState::kDone) {
      return InvalidArgument("the task is done already");
    }
    task->record.rate_limit = rate_limit;
    task->rate_limit = rate_limit;
  }
  KMS_TRY(SaveTask(sys(), *task));
  return task->Copy();
}

Status TaskRunner::Delete(const Uuid& id) {
  const Handle task = FindTask(id);
  if (task == nullptr) {
    return NoSuchTask();
  }
  {
    const ScopedLock lock(task->mutex);
    if (task->active) {
      return InvalidArgument("the task runs: cancel it first");
    }
  }
  KMS_TRY(EraseTask(sys(), id));
  const ScopedLock lock(mutex_);
  tasks_.erase(id);
  return Ok();
}

Result<std::size_t> TaskRunner::Tidy() {
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  std::size_t gone = 0;
  for (const TaskRecord& record : List()) {
    if (record.state != TaskState::kRunning &&
        record.finished_unix_seconds + options_.remembered_seconds < now) {
      KMS_TRY(Delete(record.id));
      ++gone;
    }
  }
  return gone;
}

}  // namespace kms
