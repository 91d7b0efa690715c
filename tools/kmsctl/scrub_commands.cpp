// SPDX-License-Identifier: Apache-2.0
// kmsctl scrub status|run: what was found by looking at everything before it is needed.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr const char* kPath = "/v1/sys/scrub";
constexpr std::chrono::milliseconds kPollInterval{300};

struct ScrubArguments {
  bool detach = false;
};

std::string Counts(const nlohmann::json& data, const char* name) {
  const nlohmann::json counts = data.value(name, nlohmann::json::object());
  return std::to_string(IntegerOf(counts, "wraps")) + " wraps, " +
         std::to_string(IntegerOf(counts, "entries")) + " entries, " +
         std::to_string(IntegerOf(counts, "skipped")) + " skipped";
}

Status PrintState(const Session& session, const nlohmann::json& data) {
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  const nlohmann::json findings = data.value("findings", nlohmann::json::array());
  KMS_TRY(Print(RenderFields({{"under way", Cell(data, "under_way")},
                              {"environment", Cell(data, "environment")},
                              {"started", Cell(data, "started")},
                              {"finished", Cell(data, "finished")},
                              {"this pass", Counts(data, "counts")},
                              {"the pass before", Counts(data, "previous")},
                              {"findings", std::to_string(findings.size())}})));
  if (findings.empty()) {
    return Ok();
  }
  Table table{{"TARGET", "ENVIRONMENT", "HSM", "WHAT", "SINCE", "PROBLEM"}, {}};
  for (const nlohmann::json& finding : findings) {
    table.rows.push_back({Cell(finding, "target"), Cell(finding, "environment"),
                          Cell(finding, "hsm"), Cell(finding, "what"), Cell(finding, "first_seen"),
                          Cell(finding, "problem")});
  }
  const std::int64_t more = IntegerOf(data, "more_findings");
  if (more != 0) {
    Note(std::to_string(more) + " further findings are in the audit log");
  }
  return Print("\n" + RenderTable(table));
}

// Damage that is there is a failure for scripts.
Status Judge(const nlohmann::json& data) {
  const nlohmann::json findings = data.value("findings", nlohmann::json::array());
  return findings.empty() ? Ok() : Corrupted("the scrub found damage; each line says what to do");
}

Result<nlohmann::json> Read(Session& session) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", kPath));
  return DataOf(answer);
}

Status ShowStatus(Session& session, const ScrubArguments& /*arguments*/) {
  const nlohmann::json data = KMS_TRY(Read(session));
  KMS_TRY(PrintState(session, data));
  return Judge(data);
}

// A pass that is under way when it is asked for does not count: the one after it sees everything.
Status RunNow(Session& session, const ScrubArguments& arguments) {
  const nlohmann::json before = KMS_TRY(Read(session));
  const std::int64_t wanted =
      IntegerOf(before, "passes") + (BooleanOf(before, "under_way") ? 2 : 1);
  KMS_TRY(session.Call("POST", kPath));
  if (arguments.detach && session.options.json) {
    return Print(ToJsonLine({{"asked", true}}) + "\n");
  }
  if (arguments.detach) {
    Note("asked for; see kmsctl scrub status");
    return Ok();
  }
  while (true) {
    const nlohmann::json now = KMS_TRY(Read(session));
    if (IntegerOf(now, "passes") >= wanted) {
      KMS_TRY(PrintState(session, now));
      return Judge(now);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

using Verb = Status (*)(Session&, const ScrubArguments&);

std::shared_ptr<ScrubArguments> Run(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<ScrubArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

}  // namespace

void AddScrubCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "scrub", "Damage that was found before it mattered",
                                "  kmsctl scrub status\n  kmsctl scrub run\n");
  family.require_subcommand(1);
  Run(AddCommand(family, "status", "Show what was looked at and found",
                 "  kmsctl scrub status --json\n"),
      session, ShowStatus);
  CLI::App& run = AddCommand(family, "run", "Look at everything now and wait for the end",
                             "  kmsctl scrub run\n");
  const auto running = Run(run, session, RunNow);
  run.add_flag("--detach", running->detach, "Do not wait for the end");
}

}  // namespace kms::tools
