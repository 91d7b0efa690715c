// SPDX-License-Identifier: Apache-2.0
// How handlers start tasks and show them.
#pragma once

#include <map>
#include <string>

#include "api/pipeline/reply.h"
#include "kms/base/result.h"
#include "kms/tasks/task_record.h"
#include "kms/tasks/task_runner.h"

namespace kms::api {

struct Call;

// Errors: kUnavailable where no tasks run.
Result<TaskRunner*> RunnerOf(const Call& call);

// One JSON object.
void AppendTask(const TaskRecord& record, std::string& out);

// Starts a task of the addressed environment and answers with its id; with dry_run says what it
// would do. Reads the fields "dry_run" and "rate".
Result<Reply> StartTask(Call& call, TaskKind kind, std::map<std::string, std::string> parameters);

}  // namespace kms::api
