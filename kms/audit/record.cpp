// SPDX-License-Identifier: Apache-2.0
// AuditRecord: everything a record about a request can say.
#include "kms/audit/record.h"

#include <algorithm>
#include <array>
#include <limits>

#include "kms/audit/json_text.h"

namespace kms {
namespace {

// Bytes of each field that are kept; an escape makes at most six of one.
constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxErrorBytes = 1024;
constexpr std::size_t kMaxPolicies = 32;
static_assert(6 * (8 * kMaxIdBytes + 8 * kMaxNameBytes + kMaxPathBytes + kMaxErrorBytes) +
                  6 * kMaxPolicies * kMaxIdBytes <
              kMaxAuditMembersBytes);

// Writes the members of one object: commas between them, nothing for empty values.
class Members {
 public:
  explicit Members(std::string& out) : out_(out) {}

  void Text(std::string_view name, std::string_view text, std::size_t max_bytes) {
    if (!text.empty()) {
      Name(name);
      AppendJsonString(text, max_bytes, out_);
    }
  }
  void Number(std::string_view name, std::int64_t number) {
    if (number != 0) {
      Name(name);
      AppendJsonNumber(number, out_);
    }
  }
  void Texts(std::string_view name, std::span<const std::string> texts) {
    if (texts.empty()) {
      return;
    }
    Name(name);
    out_.push_back('[');
    for (const std::string& text : texts.first(std::min(texts.size(), kMaxPolicies))) {
      if (out_.back() != '[') {
        out_.push_back(',');
      }
      AppendJsonString(text, kMaxIdBytes, out_);
    }
    out_.push_back(']');
  }

 private:
  void Name(std::string_view name) {
    if (!first_) {
      out_.push_back(',');
    }
    first_ = false;
    out_.push_back('"');
    out_.append(name);
    out_.append("\":");
  }

  std::string& out_;
  bool first_ = true;
};

// Appends `,"name":{…}` with what `fill` writes, or nothing when it writes nothing.
template <typename Fill>
void AppendObject(std::string_view name, std::string& out, Fill fill) {
  const std::size_t before = out.size();
  out.append(",\"");
  out.append(name);
  out.append("\":{");
  const std::size_t opened = out.size();
  fill(Members(out));
  if (out.size() == opened) {
    out.resize(before);
    return;
  }
  out.push_back('}');
}

std::string_view TypeName(AuditRecordType type) {
  switch (type) {
    case AuditRecordType::kRequest: return "request";
    case AuditRecordType::kResponse: return "response";
  }
  return "unknown";
}

// Formatting a date costs more than the rest of a record; it changes once a second.
void AppendTime(WallTime time, std::string& out) {
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  thread_local std::int64_t cached_second = std::numeric_limits<std::int64_t>::min();
  thread_local std::string cached_date;
  const std::int64_t second = ToUnixSeconds(time);
  if (second != cached_second) {
    cached_date = ToRfc3339(WallTime{std::chrono::seconds{second}});
    cached_date.resize(cached_date.find_first_of(".Z"));
    cached_second = second;
  }
  std::int64_t fraction =
      (time.time_since_epoch().count() % kNanoseconds + kNanoseconds) % kNanoseconds;
  std::array<char, 9> digits{};
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    *digit = static_cast<char>('0' + fraction % 10);
    fraction /= 10;
  }
  out.append(cached_date);
  out.push_back('.');
  out.append(digits.data(), digits.size());
  out.push_back('Z');
}

void AppendAuth(const AuditRecord& record, std::string& out) {
  AppendObject("auth", out, [&](Members members) {
    members.Text("accessor", record.accessor, kMaxIdBytes);
    members.Text("display_name", record.display_name, kMaxNameBytes);
    members.Texts("policies", record.policies);
    members.Text("entity_id", record.entity_id, kMaxIdBytes);
    members.Text("token_type", record.token_type, kMaxIdBytes);
    members.Texts("granting_policies", record.granting_policies);
    members.Text("login_name", record.login_name, kMaxNameBytes);
  });
}

void AppendRequest(const AuditRecord& record, std::string& out) {
  AppendObject("request", out, [&](Members members) {
    members.Text("id", record.request_id, kMaxIdBytes);
    members.Text("operation", record.operation, kMaxIdBytes);
    members.Text("environment", record.environment, kMaxIdBytes);
    members.Text("path", record.path, kMaxPathBytes);
    members.Text("namespace", record.name_space, kMaxNameBytes);
    members.Text("remote_address", record.remote_address, kMaxIdBytes);
    members.Number("remote_port", record.remote_port);
    members.Text("client_address", record.client_address, kMaxIdBytes);
    members.Text("certificate", record.certificate, kMaxIdBytes);
    members.Text("context", record.context, kMaxNameBytes);
  });
}

void AppendKey(const AuditRecord& record, std::string& out) {
  AppendObject("key", out, [&](Members members) {
    members.Text("name", record.key, kMaxNameBytes);
    members.Number("version", record.key_version);
  });
}

void AppendIssued(const AuditRecord& record, std::string& out) {
  AppendObject("issued", out, [&](Members members) {
    members.Text("accessor", record.issued_accessor, kMaxIdBytes);
    members.Text("display_name", record.issued_name, kMaxNameBytes);
    members.Text("wrapped_accessor", record.wrapped_accessor, kMaxIdBytes);
  });
}

void AppendApproval(const AuditRecord& record, std::string& out) {
  AppendObject("approval", out, [&](Members members) {
    members.Text("id", record.approval_id, kMaxIdBytes);
    members.Text("approved_by", record.approved_by, kMaxIdBytes);
  });
}

void AppendResponse(const AuditRecord& record, std::string& out) {
  AppendObject("response", out, [&](Members members) {
    members.Number("status", record.status);
    members.Number("items", record.items);
    members.Number("failed_items", record.failed_items);
  });
}

}  // namespace

void AppendAuditHeading(WallTime time, std::string_view type, std::string& out) {
  out.append("\"time\":\"");
  AppendTime(time, out);
  out.append("\",\"type\":\"");
  out.append(type);
  out.push_back('"');
}

void AppendAuditMembers(const AuditRecord& record, std::string& out) {
  AppendAuditHeading(record.time, TypeName(record.type), out);
  AppendAuth(record, out);
  AppendRequest(record, out);
  AppendKey(record, out);
  AppendIssued(record, out);
  AppendApproval(record, out);
  AppendResponse(record, out);
  if (!record.error.empty()) {
    out.append(",\"error\":");
    AppendJsonString(record.error, kMaxErrorBytes, out);
  }
}

}  // namespace kms
