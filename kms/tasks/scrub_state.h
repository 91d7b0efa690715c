// SPDX-License-Identifier: Apache-2.0
// ScrubState: how far the scrub came and what it found. Sealed in `sys` at "scrub", so that a
// restart does not begin anew; a frozen sample lives in the tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

// Stored numbers: do not change or reuse.
enum class ScrubTarget : std::uint8_t {
  kWrap = 1,    // an environment key that a token does not open as it should
  kEntry = 2,   // a sealed entry that does not open
  kRecord = 3,  // a record of keys that cannot be read
  kStore = 4,   // entries that differ from the sums that every commit keeps
};
// "wrap", "entry", "record", "store".
std::string_view ScrubTargetName(ScrubTarget target);

struct ScrubFinding {
  ScrubTarget target = ScrubTarget::kEntry;
  std::string environment;
  std::string hsm;      // kWrap: the token's name
  std::string what;     // the path of the entry or record, or which key
  std::string problem;  // and what to do about it
  std::int64_t first_seen_unix_seconds = 0;
  std::int64_t last_seen_unix_seconds = 0;
  friend bool operator==(const ScrubFinding&, const ScrubFinding&) = default;
};

struct ScrubCounts {
  std::uint64_t wraps = 0;    // opened by a token and compared
  std::uint64_t entries = 0;  // opened
  std::uint64_t skipped = 0;  // environments that were sealed, tokens that were away
  friend bool operator==(const ScrubCounts&, const ScrubCounts&) = default;
};

struct ScrubState {
  std::int64_t started_unix_seconds = 0;   // the pass under way, or the latest; 0: none yet
  std::int64_t finished_unix_seconds = 0;  // the latest complete pass; 0: none yet
  std::uint64_t passes = 0;                // that were completed
  bool under_way = false;
  std::string environment;  // that is being looked at; empty: none yet
  std::string cursor;       // its entries up to this path are done
  bool wraps_done = false;  // of that environment
  ScrubCounts counts;       // of the pass under way
  ScrubCounts previous;     // of the latest complete one
  std::vector<ScrubFinding> findings;
  std::uint64_t more_findings = 0;  // of the pass, beyond those that are kept

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<ScrubState> Decode(ByteView encoded);
  friend bool operator==(const ScrubState&, const ScrubState&) = default;
};

}  // namespace kms
