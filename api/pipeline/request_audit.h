// SPDX-License-Identifier: Apache-2.0
// What is recorded of a request: an allow-list of facts, none of which is payload (L13).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/route.h"
#include "kms/auth/principal.h"
#include "kms/base/clock.h"

namespace kms::api {

enum class AuditPhase : std::uint8_t {
  kAttempt,  // "request": about to change state
  kOutcome,  // "response": what came of it
};

struct AuditFacts {
  AuditPhase phase = AuditPhase::kOutcome;
  std::string_view request_id;
  Operation operation = Operation::kRead;
  std::string_view path;  // with namespace or mount
  std::string_view environment;
  std::string_view key;
  const Principal* principal = nullptr;
  std::int64_t key_version = 0;
  std::int64_t items = 0;
  std::int64_t failed_items = 0;
  int status = 0;
  std::string_view error;  // the public text
};

// Appends the members of one record (see AuditLog::Append) to `out`.
void AppendAuditMembers(const AuditFacts& facts, const HttpRequest& request, WallTime now,
                        std::string& out);

}  // namespace kms::api
