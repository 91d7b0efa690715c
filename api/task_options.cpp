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

// Lease proofs share the HSMs with tasks. Once a lease has used up this share of its grace, tasks
// wait until it is proven again; when no HSM proves it, it ends and nobody waits for it.
constexpr std::int64_t kLateShare = 4;

bool LeasesAreLate(const Environments& environments) {
  for (const EnvironmentStatus& status : environments.Statuses()) {
    if (!status.sealed && status.lease_grace_ms && status.lease_age_ms &&
        *status.lease_age_ms > *status.lease_grace_ms / kLateShare &&
        *status.lease_age_ms > 2 * status.lease_interval_ms) {
      return true;
    }
  }
  return false;
}

void Alarm(std::string_view what) { LogWarning(std::string(what)); }

// One line per directory whose entries are not what its sum says.
std::vector<std::string> DifferencesOf(const DigestReport& report) {
  std::vector<std::string> lines;
  if (report.damaged) {
    lines.emplace_back("the sums of the store");
  }
  for (const DirectoryDifference& difference : report.differences) {
    lines.push_back(difference.directory + ": " + std::to_string(difference.expected) +
                    " entries are expected, " + std::to_string(difference.found) + " are there");
  }
  return lines;
}

}  // namespace

TaskRunnerOptions TaskRunnerOptionsFrom(const Config& config, ChainedAuditLog& audit,
                                        const Environments& environments) {
  TaskRunnerOptions options;
  options.hsm_timeout = config.hsm.call_timeout;
  options.audit = &audit;
  options.audit_head = [&audit] {
    const AuditHead head = audit.head();
    return std::to_string(head.seq) + ":" + HexEncode(head.hash);
  };
  options.busy = [&environments] { return LeasesAreLate(environments); };
  options.ended = LogEnd;
  options.alarm = Alarm;
  return options;
}

ScrubOptions ScrubOptionsFrom(const Config& config, ChainedAuditLog& audit, StoreGuard& guard,
                              Environments& environments) {
  ScrubOptions options;
  options.interval = std::chrono::duration_cast<std::chrono::seconds>(config.scrub.interval);
  options.entries_per_second = static_cast<std::uint32_t>(config.scrub.entries_per_second);
  options.hsm_timeout = config.hsm.call_timeout;
  options.audit = &audit;
  options.alarm = Alarm;
  options.check_store = [&guard, &environments]() -> Result<std::vector<std::string>> {
    const DigestReport report = KMS_TRY(guard.CheckEntries(environments));
    return DifferencesOf(report);
  };
  return options;
}

}  // namespace kms::api
