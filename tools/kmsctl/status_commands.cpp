// SPDX-License-Identifier: Apache-2.0
// kmsctl status, kmsctl version.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/hsm_cells.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

// null for callers who may not know.
nlohmann::json EnvironmentsOf(Session& session) {
  const Result<nlohmann::json> answer = session.Call("GET", "/v1/sys/environments/status");
  return answer.has_value() ? ArrayMember(DataOf(*answer), "environments") : nlohmann::json();
}

// The names of those for which `holds`.
template <typename Predicate>
nlohmann::json NamesWhere(const nlohmann::json& environments, const Predicate& holds) {
  nlohmann::json names = nlohmann::json::array();
  for (const nlohmann::json& environment : environments) {
    if (holds(environment)) {
      names.push_back(Cell(environment, "name"));
    }
  }
  return names;
}

bool IsSealed(const nlohmann::json& environment) { return BooleanOf(environment, "sealed"); }

// Nobody could open it without its HSMs.
bool IsWithoutRecovery(const nlohmann::json& environment) {
  const auto holders = environment.find("recovery_holders");
  return holders != environment.end() && *holders == 0;
}

Status ShowStatus(Session& session) {
  int status = 0;
  nlohmann::json health = KMS_TRY(session.CallForAnyStatus("/v1/sys/health", status));
  const std::string address = KMS_TRY(session.AddressForDisplay());
  if (!health.contains("sealed")) {
    return MakeError(ErrorCode::kInternal, address + " answered HTTP " + std::to_string(status) +
                                               ": is this the address of a key service?");
  }
  const nlohmann::json environments = status == 200 ? EnvironmentsOf(session) : nlohmann::json();
  const nlohmann::json sealed = NamesWhere(environments, IsSealed);
  const nlohmann::json without = NamesWhere(environments, IsWithoutRecovery);
  if (session.options.json) {
    health["address"] = address;
    if (environments.is_array()) {
      health["sealed_environments"] = sealed;
      health["without_recovery_holders"] = without;
    }
    KMS_TRY(Print(ToJsonLine(health) + "\n"));
  } else {
    const nlohmann::json time = health.value("server_time_utc", nlohmann::json());
    std::vector<std::pair<std::string, std::string>> fields = {
        {"address", address},
        {"version", Cell(health, "version")},
        {"initialized", Cell(health, "initialized")},
        {"sealed", Cell(health, "sealed")},
        {"standby", Cell(health, "standby")},
        {"server time", time.is_number_integer() ? TimeCell(time.get<std::int64_t>()) : "-"},
    };
    if (environments.is_array()) {
      fields.emplace_back("sealed environments",
                          sealed.empty() ? "none" : NamesCell({{"names", sealed}}, "names"));
    }
    KMS_TRY(Print(RenderFields(fields)));
    if (!sealed.empty()) {
      Note("every call to a sealed environment is refused: `kmsctl hsm status` says why each is");
    }
    if (!without.empty()) {
      Note("no recovery holders: " + NamesCell({{"names", without}}, "names") +
           "; whoever loses all of their HSMs loses what is stored in them (kmsctl env recovery)");
    }
  }
  if (status != 200) {
    return Unavailable("the service does not serve (health answers HTTP " + std::to_string(status) +
                       "): see `kmsctl hsm status`");
  }
  return Ok();
}

Status ShowVersion(const Session& session) {
  if (session.options.json) {
    return Print(ToJsonLine({{"version", KMS_VERSION}}) + "\n");
  }
  return Print("kmsctl " KMS_VERSION "\n");
}

}  // namespace

void AddStatusCommands(CLI::App& root, Session& session) {
  AddCommand(root, "status", "Is the service up, unsealed and active?",
             "  kmsctl status\n"
             "  kmsctl status --json --address https://kms.example.com:8200\n")
      .callback([&session] { session.command = [&session] { return ShowStatus(session); }; });
  AddCommand(root, "version", "The version of kmsctl", "  kmsctl version\n").callback([&session] {
    session.command = [&session] { return ShowVersion(session); };
  });
}

}  // namespace kms::tools
