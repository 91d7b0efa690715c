// SPDX-License-Identifier: Apache-2.0
// Where tasks are stored: sealed in `sys` at "tasks/<id>".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/sealed_store.h"
#include "kms/tasks/task_record.h"

namespace kms {

// Writes the record over whatever is there: each task has one writer at a time. When the outcome is
// unknown the entry is read again. Errors: store errors.
Status StoreTask(SealedStore& sys, const TaskRecord& record);
// Success when it is already gone. Errors: store errors.
Status EraseTask(SealedStore& sys, const Uuid& id);
// All that can be read; `on_damage` is told of the others. Errors: store errors.
Result<std::vector<TaskRecord>> ReadTasks(
    SealedStore& sys, const std::function<void(const std::string& path)>& on_damage);

// Makes the entry at `path` in `sys` be `value`; as StoreTask.
Status StoreEntry(SealedStore& sys, const std::string& path, ByteView value);

}  // namespace kms
