// SPDX-License-Identifier: Apache-2.0
// AuditRecord: everything a record about a request can say. This list is the allow-list: there is
// no field for payloads, tokens, headers or bodies, so none can be written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kms/base/clock.h"

namespace kms {

enum class AuditRecordType : std::uint8_t {
  kRequest,   // written before a change is attempted
  kResponse,  // written before an answer leaves
};

// Views must live until AppendAuditMembers returns. Empty and zero fields are left out.
struct AuditRecord {
  AuditRecordType type = AuditRecordType::kResponse;
  WallTime time;
  std::string_view request_id;
  std::string_view operation;  // "read", "update", "list", "delete", …
  std::string_view path;       // the canonical path that was routed and authorized
  std::string_view name_space;
  std::string_view environment;
  std::string_view key;
  std::int64_t key_version = 0;

  std::string_view accessor;  // of the caller's token; never the token
  std::string_view display_name;
  std::span<const std::string> policies;
  std::string_view entity_id;
  std::string_view token_type;  // "service" or "batch"
  std::span<const std::string> granting_policies;  // those whose rule decided
  std::string_view login_name;  // user, role or subject that a login names, good or not
  std::string_view context;     // the pattern that associated data was held against
  std::string_view remote_address;  // of the socket
  std::uint16_t remote_port = 0;
  std::string_view client_address;  // behind a trusted proxy; empty: the socket's
  std::string_view certificate;     // SHA-256 of the client certificate, hexadecimal

  std::string_view issued_accessor;   // of the token that was made
  std::string_view issued_name;       // its display name
  std::string_view wrapped_accessor;  // of the wrapping token
  std::string_view approval_id;
  std::string_view approved_by;  // accessor of the second person's token

  std::int64_t items = 0;         // of a batch
  std::int64_t failed_items = 0;  // of those
  int status = 0;                 // HTTP
  std::string_view error;         // public text
};

// Upper bound of what AppendAuditMembers writes for one record.
inline constexpr std::size_t kMaxAuditMembersBytes = std::size_t{64} << 10U;

// Appends the record's JSON members without braces, one line, as AuditLog::Append takes them:
//   "time":…,"type":"response","auth":{…},"request":{…},"key":{…},"response":{…},"error":…
// Member names are those of transit-api.md section 12 where it has one. Allocates nothing once
// `out` has grown.
void AppendAuditMembers(const AuditRecord& record, std::string& out);

// Appends `"time":"…","type":"<type>"`, how every record begins.
void AppendAuditHeading(WallTime time, std::string_view type, std::string& out);

}  // namespace kms
