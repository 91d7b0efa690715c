// SPDX-License-Identifier: Apache-2.0
// Finds where an existing audit file ends, after a crash may have torn its last record.
#include "kms/audit/audit_tail.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kms {
namespace {

constexpr std::uint64_t kChunkBytes = std::uint64_t{64} << 10U;
// A batch is torn as a whole at most; batches are bounded by the queue (chained_audit_log.h).
constexpr std::uint64_t kMaxTornBytes = std::uint64_t{64} << 20U;

// Returns the offset after the last line feed before `end`, or 0 when there is none. Gives up
// after `bound` bytes.
Result<std::uint64_t> FindLineStart(AuditFile& file, std::uint64_t end, std::uint64_t bound) {
  std::uint64_t position = end;
  while (position > 0) {
    if (end - position > bound) {
      return Corrupted("the audit log does not end in a record", "no line feed near its end");
    }
    const std::uint64_t size = std::min(position, kChunkBytes);
    position -= size;
    const std::string chunk = KMS_TRY(file.ReadAt(position, static_cast<std::size_t>(size)));
    const std::size_t found = chunk.rfind('\n');
    if (found != std::string::npos) {
      return position + found + 1;
    }
  }
  return std::uint64_t{0};
}

Status ReadLastRecord(std::string_view line, AuditTail& tail) {
  const ChainLink link = KMS_TRY(ParseChainLink(line));
  const nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
  if (!record.is_object()) {
    return Corrupted("the last record of the audit log is damaged");
  }
  tail.head = AuditHead{.seq = link.seq, .hash = Sha256(AsBytes(line))};
  const auto revision = record.find("store_revision");
  if (revision != record.end() && revision->is_number_unsigned()) {
    tail.store_revision = revision->get<std::uint64_t>();
  }
  return Ok();
}

}  // namespace

Result<AuditTail> ReadAuditTail(AuditFile& file) {
  AuditTail tail;
  const std::uint64_t size = KMS_TRY(file.Size());
  tail.whole_bytes = KMS_TRY(FindLineStart(file, size, kMaxTornBytes));
  tail.torn_bytes = size - tail.whole_bytes;
  if (tail.torn_bytes != 0) {
    const std::string torn =
        KMS_TRY(file.ReadAt(tail.whole_bytes, static_cast<std::size_t>(tail.torn_bytes)));
    tail.torn_hash = Sha256(AsBytes(torn));
  }
  if (tail.whole_bytes == 0) {
    return tail;
  }
  const std::uint64_t end = tail.whole_bytes - 1;
  const std::uint64_t start = KMS_TRY(FindLineStart(file, end, kMaxAuditLineBytes));
  const std::string line = KMS_TRY(file.ReadAt(start, static_cast<std::size_t>(end - start)));
  KMS_TRY(ReadLastRecord(line, tail));
  return tail;
}

}  // namespace kms
