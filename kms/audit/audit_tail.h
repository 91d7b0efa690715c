// SPDX-License-Identifier: Apache-2.0
// Finds where an existing audit file ends, after a crash may have torn its last record.
#pragma once

#include <cstdint>
#include <optional>

#include "kms/audit/audit_file.h"
#include "kms/audit/chain.h"

namespace kms {

struct AuditTail {
  std::uint64_t whole_bytes = 0;  // up to and with the last line feed
  std::uint64_t torn_bytes = 0;   // after it: a record whose writing was cut short
  Sha256Digest torn_hash{};       // of those bytes
  std::optional<AuditHead> head;  // of the last whole line; absent in a file without one
  std::uint64_t store_revision = 0;  // that the last whole line carries; 0: none
};

// Errors: kCorrupted when the last whole line is not an audit record or the torn part is longer
// than any crash of ours leaves, kUnavailable.
Result<AuditTail> ReadAuditTail(AuditFile& file);

}  // namespace kms
