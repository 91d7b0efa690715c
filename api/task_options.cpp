// SPDX-License-Identifier: Apache-2.0
#include "api/task_options.h"

#include <string>

#include "api/service_log.h"
#include "kms/base/bytes.h"

namespace kms::api {
namespace {

void LogEnd(const TaskRecord& record) {
  std::string line = "task " + record.id.ToString() + ", " +
                     std::string(TaskKindName(record.kind)) + " of environment " +
                     record.environment + ", is " + std::string(TaskStateName(record.state)) +
                     ": " + std::to_string(record.entries) + " entries changed";
  if (record.state == TaskState::kFailed) {
    LogWarning(line + "; " + record.error);
    return;
  }
  LogInfo(line);
}

}  // namespace

TaskRunnerOptions TaskRunnerOptionsFrom(const Config& config, ChainedAuditLog& audit) {
  TaskRunnerOptions options;
  options.hsm_timeout = config.hsm.call_timeout;
  options.audit = &audit;
  options.audit_head = [&audit] {
    const AuditHead head = audit.head();
    return std::to_string(head.seq) + ":" + HexEncode(head.hash);
  };
  options.ended = LogEnd;
  options.alarm = [](std::string_view what) { LogWarning(std::string(what)); };
  return options;
}

}  // namespace kms::api
