// SPDX-License-Identifier: Apache-2.0
// Numbers are big-endian, times unix seconds, text is a 4-byte length and UTF-8, flags one byte.
//
//   ScrubState  'S' | 1 | started(8) | finished(8) | passes(8) | under way flag
//               | environment text | cursor text | wraps done flag | counts | previous counts |
//               more findings(8) | number of findings(4) | findings
//   counts      wraps(8) | entries(8) | skipped(8)
//   finding     target(1) | environment text | hsm text | what text | problem text
//               | first seen(8) | last seen(8)
#include "kms/tasks/scrub_state.h"

#include <array>
#include <utility>

#include "kms/base/record_codec.h"

namespace kms {

namespace {

constexpr char kKind = 'S';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "record of the scrub";

constexpr std::array kTargets = {
    std::pair{ScrubTarget::kWrap, std::string_view{"wrap"}},
    std::pair{ScrubTarget::kEntry, std::string_view{"entry"}},
    std::pair{ScrubTarget::kRecord, std::string_view{"record"}},
    std::pair{ScrubTarget::kStore, std::string_view{"store"}},
};

void PutCounts(const ScrubCounts& counts, RecordWriter& writer) {
  writer.Put(counts.wraps);
  writer.Put(counts.entries);
  writer.Put(counts.skipped);
}

ScrubCounts GetCounts(RecordReader& reader) {
  ScrubCounts counts;
  counts.wraps = reader.Get<std::uint64_t>();
  counts.entries = reader.Get<std::uint64_t>();
  counts.skipped = reader.Get<std::uint64_t>();
  return counts;
}

ScrubFinding GetFinding(RecordReader& reader) {
  ScrubFinding finding;
  finding.target = static_cast<ScrubTarget>(reader.Get<std::uint8_t>());
  if (ScrubTargetName(finding.target).empty()) {
    reader.Fail();
  }
  finding.environment = reader.GetText();
  finding.hsm = reader.GetText();
  finding.what = reader.GetText();
  finding.problem = reader.GetText();
  finding.first_seen_unix_seconds = reader.Get<std::int64_t>();
  finding.last_seen_unix_seconds = reader.Get<std::int64_t>();
  return finding;
}

}  // namespace

std::string_view ScrubTargetName(ScrubTarget target) {
  for (const auto& [known, name] : kTargets) {
    if (known == target) {
      return name;
    }
  }
  return {};
}

Bytes ScrubState::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.Put(started_unix_seconds);
  writer.Put(finished_unix_seconds);
  writer.Put(passes);
  writer.PutFlag(under_way);
  writer.PutText(environment);
  writer.PutText(cursor);
  writer.PutFlag(wraps_done);
  PutCounts(counts, writer);
  PutCounts(previous, writer);
  writer.Put(more_findings);
  writer.Put(static_cast<std::uint32_t>(findings.size()));
  for (const ScrubFinding& finding : findings) {
    writer.Put(static_cast<std::uint8_t>(finding.target));
    writer.PutText(finding.environment);
    writer.PutText(finding.hsm);
    writer.PutText(finding.what);
    writer.PutText(finding.problem);
    writer.Put(finding.first_seen_unix_seconds);
    writer.Put(finding.last_seen_unix_seconds);
  }
  return writer.Take();
}

Result<ScrubState> ScrubState::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  ScrubState state;
  state.started_unix_seconds = reader.Get<std::int64_t>();
  state.finished_unix_seconds = reader.Get<std::int64_t>();
  state.passes = reader.Get<std::uint64_t>();
  state.under_way = reader.GetFlag();
  state.environment = reader.GetText();
  state.cursor = reader.GetText();
  state.wraps_done = reader.GetFlag();
  state.counts = GetCounts(reader);
  state.previous = GetCounts(reader);
  state.more_findings = reader.Get<std::uint64_t>();
  const auto findings = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < findings && !reader.failed(); ++index) {
    state.findings.push_back(GetFinding(reader));
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "malformed");
  }
  return state;
}

}  // namespace kms
