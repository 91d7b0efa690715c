// SPDX-License-Identifier: Apache-2.0
// kmsctl hsm list|show: every token with its state, load, latency and what it opens.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/hsm_cells.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr std::size_t kNamesInCell = 4;

// "ok", or what is wrong in which number of environments: "refused 1, away 2".
std::string HealthCell(const nlohmann::json& hsm) {
  std::map<std::string, int> states;
  for (const nlohmann::json& part : ArrayMember(hsm, "environments")) {
    ++states[Cell(part, "state")];
  }
  std::string text;
  for (const char* state : {"refused", "away", "healing", "unknown"}) {
    if (const auto found = states.find(state); found != states.end()) {
      text += (text.empty() ? "" : ", ") + std::string(state) + " " + std::to_string(found->second);
    }
  }
  if (!text.empty()) {
    return text;
  }
  return states.empty() ? "-" : "ok";
}

std::string SessionsCell(const nlohmann::json& hsm) {
  const std::string open = Cell(hsm, "sessions_open");
  return open == "-" ? open : Cell(hsm, "sessions_in_use") + "/" + open;
}

std::string QueueCell(const nlohmann::json& hsm) {
  const std::string waiting = Cell(hsm, "calls_waiting");
  return waiting == "-" ? waiting : Cell(hsm, "calls_in_flight") + "+" + waiting;
}

std::string BreakerCell(const nlohmann::json& hsm) {
  const std::string retry = DurationCell(hsm, "retry_in_ms");
  return Cell(hsm, "breaker") + (retry == "-" ? "" : " (" + retry + ")");
}

// The oldest proof of all environments.
std::string LeaseCell(const nlohmann::json& hsm) {
  nlohmann::json oldest = nlohmann::json::object();
  for (const nlohmann::json& part : ArrayMember(hsm, "environments")) {
    if (IntegerOf(part, "proof_age_ms") >= IntegerOf(oldest, "proof_age_ms") &&
        Cell(part, "proof_age_ms") != "-") {
      oldest = part;
    }
  }
  return DurationCell(oldest, "proof_age_ms");
}

std::string MasterVersionsCell(const nlohmann::json& hsm) {
  std::set<std::int64_t> versions;
  for (const nlohmann::json& part : ArrayMember(hsm, "environments")) {
    for (const nlohmann::json& version : ArrayMember(part, "master_key_versions")) {
      if (version.is_number_integer()) {
        versions.insert(version.get<std::int64_t>());
      }
    }
  }
  std::string text;
  for (const std::int64_t version : versions) {
    text += (text.empty() ? "" : ",") + std::to_string(version);
  }
  return text.empty() ? "-" : text;
}

std::string EnvironmentsCell(const nlohmann::json& hsm) {
  std::string text;
  std::size_t count = 0;
  for (const nlohmann::json& part : ArrayMember(hsm, "environments")) {
    if (++count <= kNamesInCell) {
      text += (text.empty() ? "" : ", ") + Cell(part, "name");
    }
  }
  if (count > kNamesInCell) {
    text += " and " + std::to_string(count - kNamesInCell) + " more";
  }
  return text.empty() ? "-" : text;
}

std::string LatencyCell(const nlohmann::json& hsm, const char* quantile) {
  const nlohmann::json latency = ObjectMember(hsm, "latency");
  if (IntegerOf(latency, "calls") == 0) {
    return "-";
  }
  return MicrosecondsCell(IntegerOf(latency, quantile));
}

Status ListHsms(Session& session) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/hsm"));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  Table table{{"NAME", "STATE", "HEALTH", "BREAKER", "SESSIONS", "QUEUE", "P50", "P95", "P99",
               "LEASE AGE", "MASTER KEYS", "ENVIRONMENTS"},
              {}};
  for (const nlohmann::json& hsm : ArrayMember(DataOf(answer), "hsms")) {
    table.rows.push_back({Cell(hsm, "name"), Cell(hsm, "state"), HealthCell(hsm), BreakerCell(hsm),
                          SessionsCell(hsm), QueueCell(hsm), LatencyCell(hsm, "p50_us"),
                          LatencyCell(hsm, "p95_us"), LatencyCell(hsm, "p99_us"), LeaseCell(hsm),
                          MasterVersionsCell(hsm), EnvironmentsCell(hsm)});
  }
  return Print(RenderTable(table));
}

std::string RenderHsm(const nlohmann::json& hsm) {
  const nlohmann::json latency = ObjectMember(hsm, "latency");
  return RenderFields({
      {"name", Cell(hsm, "name")},
      {"state", Cell(hsm, "state")},
      {"reason", Cell(hsm, "reason")},
      {"token", Cell(hsm, "token_label") + " (serial " + Cell(hsm, "token_serial") + ")"},
      {"module", Cell(hsm, "module_path")},
      {"description", Cell(hsm, "module_description")},
      {"mechanisms", NamesCell(hsm, "usable_mechanisms")},
      {"breaker", BreakerCell(hsm) + ", opened " + Cell(hsm, "breaker_opened") + " times"},
      {"sessions", SessionsCell(hsm) + " in use"},
      {"calls", Cell(hsm, "calls") + ", " + Cell(hsm, "failed_calls") + " failed, " +
                    Cell(hsm, "abandoned_calls") + " abandoned, " + Cell(hsm, "refused_calls") +
                    " refused"},
      {"queue",
       Cell(hsm, "calls_in_flight") + " in flight, " + Cell(hsm, "calls_waiting") + " waiting"},
      {"latency", "p50 " + LatencyCell(hsm, "p50_us") + ", p95 " + LatencyCell(hsm, "p95_us") +
                      ", p99 " + LatencyCell(hsm, "p99_us") + " of " + Cell(latency, "calls") +
                      " calls"},
      {"call timeout", DurationCell(hsm, "call_timeout_ms")},
      {"logins again", Cell(hsm, "reconnects")},
      {"workers", Cell(hsm, "worker_restarts") + " started again, " +
                      Cell(hsm, "worker_replacements") + " of them for their memory (now " +
                      Cell(hsm, "worker_memory_bytes") + " bytes)"},
  });
}

Status ShowHsm(Session& session, const std::string& hsm_name) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("GET", "/v1/sys/hsm/" + EncodePathSegment(hsm_name)));
  const nlohmann::json& hsm = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(hsm) + "\n");
  }
  KMS_TRY(Print(RenderHsm(hsm)));
  const nlohmann::json parts = ArrayMember(hsm, "environments");
  return parts.empty() ? Ok() : Print("\n" + RenderMembers(parts, "ENVIRONMENT", "name"));
}

// ---- lost tokens --------------------------------------------------------------------------------

Result<std::vector<std::string>> NamesOf(Session& session, const std::string& environment) {
  if (!environment.empty()) {
    return std::vector<std::string>{environment};
  }
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/environments/status"));
  std::vector<std::string> names;
  for (const nlohmann::json& one : ArrayMember(DataOf(answer), "environments")) {
    names.emplace_back(TextOf(one, "name"));
  }
  return names;
}

std::string LostKeysCell(const nlohmann::json& lost) {
  std::string text;
  for (const nlohmann::json& key : ArrayMember(lost, "master_keys")) {
    text += (text.empty() ? "" : ", ") + Cell(key, "version");
  }
  return text.empty() ? "-" : text;
}

Status ListLost(Session& session, const std::string& environment) {
  const std::vector<std::string> names = KMS_TRY(NamesOf(session, environment));
  nlohmann::json all = nlohmann::json::array();
  Table table{{"HSM", "ENVIRONMENT", "DECLARED", "BY", "UNDESTROYED", "REASON"}, {}};
  for (const std::string& name : names) {
    const nlohmann::json answer =
        KMS_TRY(session.Call("GET", "/v1/sys/environments/" + EncodePath(name) + "/hsms"));
    for (nlohmann::json lost : ArrayMember(DataOf(answer), "lost")) {
      table.rows.push_back({Cell(lost, "hsm"), name, Cell(lost, "declared"),
                            Cell(lost, "declared_by"), LostKeysCell(lost), Cell(lost, "reason")});
      lost["environment"] = name;
      all.push_back(std::move(lost));
    }
  }
  if (session.options.json) {
    return Print(ToJsonLine({{"lost", all}}) + "\n");
  }
  return all.empty() ? Print("no HSM was declared lost\n") : Print(RenderTable(table));
}

}  // namespace

void AddHsmListCommands(CLI::App& family, Session& session) {
  AddCommand(family, "list", "Every token with state, load, latency and what it opens",
             "  kmsctl hsm list\n"
             "  kmsctl hsm list --json | jq '.hsms[] | select(.state != \"ready\")'\n")
      .callback([&session] { session.command = [&session] { return ListHsms(session); }; });
  CLI::App& show =
      AddCommand(family, "show", "Everything about one token", "  kmsctl hsm show default\n");
  const auto name = std::make_shared<std::string>();
  show.add_option("NAME", *name, "Name of the token in the configuration")->required();
  show.callback(
      [&session, name] { session.command = [&session, name] { return ShowHsm(session, *name); }; });
  CLI::App& lost = AddCommand(family, "lost",
                              "Tokens that were declared lost, and the master key versions in them "
                              "that no statement tells of yet",
                              "  kmsctl hsm lost\n  kmsctl hsm lost --env prod\n");
  const auto environment = std::make_shared<std::string>();
  lost.add_option("-e,--env", *environment, "This one alone")->type_name("NAME");
  lost.callback([&session, environment] {
    session.command = [&session, environment] { return ListLost(session, *environment); };
  });
}

}  // namespace kms::tools
