// SPDX-License-Identifier: Apache-2.0
// sys/scrub: what the scrub looked at and found, and a pass that begins now.
#include "kms/tasks/scrub.h"

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

std::int64_t Signed(std::uint64_t number) { return static_cast<std::int64_t>(number); }

void AppendTime(std::string_view name, std::int64_t unix_seconds, JsonObject& object) {
  if (unix_seconds == 0) {
    object.Null(name);
    return;
  }
  object.String(name, ToRfc3339(WallTime(std::chrono::seconds(unix_seconds))));
}

void AppendCounts(std::string_view name, const ScrubCounts& counts, JsonObject& object,
                  std::string& out) {
  object.Key(name);
  JsonObject members(out);
  members.Integer("wraps", Signed(counts.wraps));
  members.Integer("entries", Signed(counts.entries));
  members.Integer("skipped", Signed(counts.skipped));
  members.Close();
}

void AppendFinding(const ScrubFinding& finding, std::string& out) {
  JsonObject object(out);
  object.String("target", ScrubTargetName(finding.target));
  object.String("environment", finding.environment);
  object.String("hsm", finding.hsm);
  object.String("what", finding.what);
  object.String("problem", finding.problem);
  AppendTime("first_seen", finding.first_seen_unix_seconds, object);
  AppendTime("last_seen", finding.last_seen_unix_seconds, object);
  object.Close();
}

Result<Scrub*> ScrubOf(const Call& call) {
  if (call.services.scrub == nullptr) {
    return Unavailable("no scrub runs in this process");
  }
  return call.services.scrub;
}

Reply StateReply(const ScrubState& state, const ScrubOptions& options) {
  std::string data;
  JsonObject object(data);
  object.Boolean("under_way", state.under_way);
  object.String("environment", state.under_way ? state.environment : "");
  AppendTime("started", state.started_unix_seconds, object);
  AppendTime("finished", state.finished_unix_seconds, object);
  object.Integer("passes", Signed(state.passes));
  object.Integer("interval_seconds", options.interval.count());
  AppendCounts("counts", state.counts, object, data);
  AppendCounts("previous", state.previous, object, data);
  object.Key("findings");
  JsonArray findings(data);
  for (const ScrubFinding& finding : state.findings) {
    AppendFinding(finding, findings.Next());
  }
  findings.Close();
  object.Integer("more_findings", Signed(state.more_findings));
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace

Result<Reply> HandleReadScrub(Call& call) {
  const Scrub* const scrub = KMS_TRY(ScrubOf(call));
  return StateReply(scrub->State(), scrub->options());
}

Result<Reply> HandleStartScrub(Call& call) {
  Scrub* const scrub = KMS_TRY(ScrubOf(call));
  scrub->RequestPass();
  return Reply::NoContent();
}

}  // namespace kms::api
