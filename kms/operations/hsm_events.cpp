// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/hsm_events.h"

#include "kms/audit/audit_log.h"
#include "kms/audit/record.h"
#include "kms/base/ids.h"

namespace kms::internal {

namespace {

Status Append(AuditLog& audit, const Clock& clock, const HsmEvent& event) {
  const std::string id = Uuid::Random().ToString();
  std::string path = "sys/environments/" + std::string(event.environment);
  path += event.hsm.empty() ? "/lease" : "/hsms/" + std::string(event.hsm);
  AuditRecord record;
  record.time = clock.Now();
  record.request_id = id;
  record.operation = event.operation;
  record.path = path;
  record.environment = event.environment;
  record.display_name = "lease";
  record.items = event.items;
  record.error = event.problem;
  std::string members;
  AppendAuditMembers(record, members);
  KMS_TRY(audit.Append(members));
  audit.Wake();
  return Ok();
}

}  // namespace

void RecordHsmEvent(const EnvironmentsOptions& options, const Clock& clock, const HsmEvent& event) {
  std::string text =
      std::string(event.operation) + " of environment " + std::string(event.environment);
  if (!event.hsm.empty()) {
    text += ", HSM " + std::string(event.hsm);
  }
  if (!event.problem.empty()) {
    text += ": " + event.problem;
  }
  const bool recorded =
      options.audit == nullptr || Append(*options.audit, clock, event).has_value();
  if (options.alarm && (event.alarms || !recorded)) {
    options.alarm(recorded ? text : text + " (not in the audit log, which fails)");
  }
}

}  // namespace kms::internal
