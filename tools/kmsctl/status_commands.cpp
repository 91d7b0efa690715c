// SPDX-License-Identifier: Apache-2.0
// kmsctl status, kmsctl version.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/hsm_cells.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

// Environments that nobody could open without their HSMs; null for callers who may not know.
nlohmann::json WithoutRecovery(Session& session) {
  const Result<nlohmann::json> answer = session.Call("GET", "/v1/sys/environments/status");
  if (!answer.has_value()) {
    return nullptr;
  }
  nlohmann::json names = nlohmann::json::array();
  for (const nlohmann::json& environment : ArrayMember(DataOf(*answer), "environments")) {
    const auto holders = environment.find("recovery_holders");
    if (holders != environment.end() && *holders == 0) {
      names.push_back(Cell(environment, "name"));
    }
  }
  return names;
}

Status ShowStatus(Session& session) {
  int status = 0;
  nlohmann::json health = KMS_TRY(session.CallForAnyStatus("/v1/sys/health", status));
  const std::string address = KMS_TRY(session.AddressForDisplay());
  if (!health.contains("sealed")) {
    return MakeError(ErrorCode::kInternal, address + " answered HTTP " + std::to_string(status) +
                                               ": is this the address of a key service?");
  }
  const nlohmann::json without = status == 200 ? WithoutRecovery(session) : nullptr;
  if (session.options.json) {
    health["address"] = address;
    if (without.is_array()) {
      health["without_recovery_holders"] = without;
    }
    KMS_TRY(Print(ToJsonLine(health) + "\n"));
  } else {
    const nlohmann::json time = health.value("server_time_utc", nlohmann::json());
    KMS_TRY(Print(RenderFields({
        {"address", address},
        {"version", Cell(health, "version")},
        {"initialized", Cell(health, "initialized")},
        {"sealed", Cell(health, "sealed")},
        {"standby", Cell(health, "standby")},
        {"server time", time.is_number_integer() ? TimeCell(time.get<std::int64_t>()) : "-"},
    })));
    if (without.is_array() && !without.empty()) {
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
