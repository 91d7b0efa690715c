// SPDX-License-Identifier: Apache-2.0
// TaskRunner: long work that survives restarts. Tasks are stored before they begin, save how far
// they came, go on by themselves after a crash and can be looked at when they are over.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/operations/environments.h"
#include "kms/tasks/task_run.h"
#include "kms/tasks/task_work.h"

namespace kms {

// One task of an environment runs at a time: rotations of its keys would meet each other's
// versions. Thread rule: any thread.
class TaskRunner {
 public:
  // Reads what is stored; tasks that were running go on as soon as Start is called. Damaged records
  // are left out and named to `options.alarm`. `environments` and `clock` must outlive it. Errors:
  // store errors.
  static Result<std::unique_ptr<TaskRunner>> Open(Environments& environments, const Clock& clock,
                                                  TaskRunnerOptions options);
  ~TaskRunner();  // as Stop
  TaskRunner(const TaskRunner&) = delete;
  TaskRunner& operator=(const TaskRunner&) = delete;

  // Begins to work. Call once.
  void Start();
  // Ends the runs under way between two of their steps; what is asked for later waits for the next
  // start. Call from one thread.
  void Stop();

  // What a request would do. Errors: those of the kind's plan.
  Result<TaskPlan> Plan(const TaskRequest& request);
  // Stores the task and lets it run. Errors: kInvalidArgument when something speaks against it,
  // naming it; kAlreadyExists while another task of the environment runs, naming it; those of the
  // kind's plan; store errors.
  Result<TaskRecord> Submit(const TaskRequest& request);

  // nullopt when there is none of that id.
  [[nodiscard]] std::optional<TaskRecord> Find(const Uuid& id) const;
  // The newest first.
  [[nodiscard]] std::vector<TaskRecord> List() const;

  // Errors of all: kNotFound "no such task", kInvalidArgument when its state does not allow that,
  // store errors.
  // Ends after the step under way; what was done stays done. Errors besides: kUnavailable when the
  // step takes longer than the time there is; it ends all the same.
  Result<TaskRecord> Cancel(const Uuid& id);
  // Goes on where it was cancelled or failed. Errors besides: kAlreadyExists as Submit.
  Result<TaskRecord> Resume(const Uuid& id);
  // Entries per second from now on; 0: no limit.
  Result<TaskRecord> Throttle(const Uuid& id, std::uint32_t rate_limit);
  // Forgets one that is over.
  Status Delete(const Uuid& id);

  // Forgets what ended long ago. Returns how many. Errors: store errors.
  Result<std::size_t> Tidy();

 private:
  using Handle = std::shared_ptr<LiveTask>;

  TaskRunner(Environments& environments, const Clock& clock, TaskRunnerOptions options);

  void Work();
  void Run(LiveTask& task);
  // The run itself, with its second attempts. Errors: why it ended.
  Status RunToItsEnd(LiveTask& task);
  void Finish(LiveTask& task, const Status& outcome);
  // False when it could not be stored and there is another try.
  bool StoreEnd(LiveTask& task, TaskRecord& record, bool last_try);
  Status Record(const TaskRecord& record, bool begins);
  // Makes it wait for its turn. Errors: kAlreadyExists.
  Status Enqueue(const Handle& task) KMS_REQUIRES(mutex_);
  Status CheckAlone(const std::string& environment) const KMS_REQUIRES(mutex_);
  [[nodiscard]] Handle FindTask(const Uuid& id) const;
  [[nodiscard]] SealedStore& sys() const { return environments_.sys()->store(); }

  Environments& environments_;
  const Clock& clock_;
  const TaskRunnerOptions options_;

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::map<Uuid, Handle> tasks_ KMS_GUARDED_BY(mutex_);
  std::deque<Handle> waiting_ KMS_GUARDED_BY(mutex_);
  bool stopping_ KMS_GUARDED_BY(mutex_) = false;
  // One is submitted at a time, so that two of one environment see each other. Held over planning
  // and one commit.
  Mutex submit_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace kms
