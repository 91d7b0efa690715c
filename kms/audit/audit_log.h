// SPDX-License-Identifier: Apache-2.0
// AuditLog: where records of key use go. No answer leaves before its record is committed.
// Implementations: chained_audit_log (kms/audit), tests/fakes/memory_audit_log.h (fake).
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "kms/base/clock.h"
#include "kms/base/result.h"

namespace kms {

// Names one appended record until it is committed or has failed. Grows; never reused.
using AuditTicket = std::uint64_t;

enum class AuditState : std::uint8_t { kPending, kCommitted, kFailed };

// Thread rule: every member may be called from any thread.
class AuditLog {
 public:
  virtual ~AuditLog() = default;

  // Queues one record: the members of a JSON object without braces, already escaped, for example
  // `"type":"response","path":"prod/encrypt/app"` (see record.h). The writer adds number and chain
  // value. Never blocks on I/O. Errors: kUnavailable when the log is failing or its queue is full;
  // the request must then be refused.
  virtual Result<AuditTicket> Append(std::string_view members) = 0;

  // Hands everything queued to the writer. Loops call it once per batch of requests.
  virtual void Wake() = 0;

  // Never blocks.
  [[nodiscard]] virtual AuditState State(AuditTicket ticket) const = 0;

  // Wakes the writer and waits. Errors: kUnavailable when the record could not be written in time.
  virtual Status Await(AuditTicket ticket, Deadline deadline) = 0;

  // `listener` runs on the writer's thread whenever tickets were committed or failed; it must not
  // block. Call before other threads use the log.
  virtual void Subscribe(std::function<void()> listener) = 0;

  // False while the last write failed; health pages show it.
  [[nodiscard]] virtual bool healthy() const = 0;
};

}  // namespace kms
