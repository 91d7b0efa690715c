// SPDX-License-Identifier: Apache-2.0
// TaskRecord: what is stored of one piece of long work, so that it goes on after a crash and can be
// looked at when it is over. A frozen sample lives in the tests.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"

namespace kms {

// Stored numbers: do not change or reuse.
enum class TaskKind : std::uint8_t {
  kRotateEnvironmentKey = 1,
  kRotateMasterKey = 2,
  kRetireMasterKey = 3,
  kRotateEverything = 4,
};
// "rotate-key", "rotate-master", "retire-master", "rotate-everything": also the last segment of the path that starts it.
std::string_view TaskKindName(TaskKind kind);

// Stored numbers: do not change or reuse.
enum class TaskState : std::uint8_t {
  kRunning = 1,    // or waits for its turn; goes on by itself after a restart
  kCancelled = 2,  // by an operator; may be resumed
  kFailed = 3,     // may be resumed
  kDone = 4,
};
std::string_view TaskStateName(TaskState state);

struct TaskRecord {
  Uuid id;
  TaskKind kind = TaskKind::kRotateEnvironmentKey;
  TaskState state = TaskState::kRunning;
  std::string environment;  // its name; may be "sys"
  Uuid environment_id;      // so that a later one of that name is not taken for it
  std::map<std::string, std::string> parameters;

  std::string step;                // what it does now, for people
  std::uint64_t done = 0;          // of the step's `total`
  std::uint64_t total = 0;         // 0: not counted
  std::string cursor;              // where the step goes on
  std::uint64_t entries = 0;       // changed by it so far, over all its runs
  std::uint32_t rate_limit = 0;    // entries per second; 0: none
  std::vector<std::string> notes;  // what somebody should know, for example what is still to come

  std::int64_t created_unix_seconds = 0;
  std::int64_t started_unix_seconds = 0;   // the latest run; 0: not yet
  std::int64_t finished_unix_seconds = 0;  // 0: not yet
  std::string error;                       // of the latest failure
  std::string asked_by;                    // display name
  std::string accessor;                    // of that token

  // nullptr when there is no such parameter.
  [[nodiscard]] const std::string* Parameter(std::string_view name) const;
  // Of a parameter that is a version; 0 when it is none.
  [[nodiscard]] std::uint32_t VersionParameter(std::string_view name) const;

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<TaskRecord> Decode(ByteView encoded);
  friend bool operator==(const TaskRecord&, const TaskRecord&) = default;
};

}  // namespace kms
