// SPDX-License-Identifier: Apache-2.0
// The hash chain of the audit log, one record per line:
//
//   {"seq":<N>,"prev":"<64 lower-case hex digits>",<members>}\n
//
// N counts from 1 without gaps, across files. "prev" is the SHA-256 of the line before, without
// its line feed; 64 zeros in record 1. Frozen: tests/kms/audit/chain_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/digest.h"
#include "kms/base/result.h"

namespace kms {

// The longest line a writer makes or a reader accepts, line feed not counted.
inline constexpr std::size_t kMaxAuditLineBytes = std::size_t{256} << 10U;

// Where a chain has come to: the number and digest of its last line.
struct AuditHead {
  std::uint64_t seq = 0;  // 0: no record yet
  Sha256Digest hash{};

  friend bool operator==(const AuditHead&, const AuditHead&) = default;
};

// Appends the line that follows `head`, with its line feed, and returns the new head.
AuditHead AppendChainedLine(const AuditHead& head, std::string_view members, std::string& out);

struct ChainLink {
  std::uint64_t seq = 0;
  Sha256Digest previous{};
};

// Reads number and predecessor from a line (without line feed), in exactly the spelling
// AppendChainedLine uses. Errors: kCorrupted.
Result<ChainLink> ParseChainLink(std::string_view line);

}  // namespace kms
