// SPDX-License-Identifier: Apache-2.0
// Appends audit members by hand, every text escaped and bounded.
#include "api/pipeline/request_audit.h"

#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

constexpr std::size_t kMaxText = 512;

void AppendText(std::string_view key, std::string_view value, std::string& out) {
  if (value.empty()) {
    return;
  }
  out += ",\"";
  out += key;
  out += "\":";
  AppendJsonString(value.substr(0, kMaxText), out);
}

void AppendNumber(std::string_view key, std::int64_t value, std::string& out) {
  if (value == 0) {
    return;
  }
  out += ",\"";
  out += key;
  out += "\":";
  AppendInteger(value, out);
}

// RFC 3339 with nanoseconds; the whole second is formatted once per thread and second.
void AppendTime(WallTime now, std::string& out) {
  thread_local std::int64_t cached_second = -1;
  thread_local std::string cached;
  const std::int64_t second = ToUnixSeconds(now);
  if (second != cached_second) {
    cached = ToRfc3339(WallTime(std::chrono::seconds(second)));
    cached.resize(20);  // "2026-01-31T12:00:00."
    cached_second = second;
  }
  const std::int64_t nanoseconds = (now.time_since_epoch() - std::chrono::seconds(second)).count();
  char digits[9];
  std::int64_t rest = nanoseconds;
  for (std::size_t i = sizeof digits; i-- > 0; rest /= 10) {
    digits[i] = static_cast<char>('0' + rest % 10);
  }
  out += R"("time":")";
  out += cached;
  out.append(digits, sizeof digits);
  out += "Z\"";
}

}  // namespace

void AppendAuditMembers(const AuditFacts& facts, const HttpRequest& request, WallTime now,
                        std::string& out) {
  AppendTime(now, out);
  AppendText("type", facts.phase == AuditPhase::kAttempt ? "request" : "response", out);
  AppendText("id", facts.request_id, out);
  AppendText("operation", OperationName(facts.operation), out);
  AppendText("path", facts.path, out);
  AppendText("environment", facts.environment, out);
  AppendText("key", facts.key, out);
  AppendText("accessor", facts.principal == nullptr ? "" : facts.principal->accessor, out);
  AppendText("display_name", facts.principal == nullptr ? "" : facts.principal->display_name, out);
  AppendNumber("key_version", facts.key_version, out);
  AppendNumber("items", facts.items, out);
  AppendNumber("failed_items", facts.failed_items, out);
  AppendText("remote_address", request.remote_address, out);
  AppendNumber("remote_port", request.remote_port, out);
  AppendNumber("status", facts.status, out);
  AppendText("error", facts.error, out);
}

}  // namespace kms::api
