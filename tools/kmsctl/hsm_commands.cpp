// SPDX-License-Identifier: Apache-2.0
// kmsctl hsm status: each environment's master key and the device that opens the service.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

std::string LeaseCell(const nlohmann::json& environment) {
  const std::string age = Cell(environment, "lease_age_ms");
  return age == "-" ? age : age + " ms ago";
}

std::string RenderDevice(const nlohmann::json& device) {
  std::string mechanisms;
  if (const auto list = device.find("usable_mechanisms");
      list != device.end() && list->is_array()) {
    for (const nlohmann::json& mechanism : *list) {
      mechanisms += mechanisms.empty() ? "" : ", ";
      mechanisms += mechanism.is_string() ? Printable(mechanism.get_ref<const std::string&>())
                                          : ToJsonLine(mechanism);
    }
  }
  return RenderFields({
      {"device", Cell(device, "state")},
      {"reason", Cell(device, "reason")},
      {"token", Cell(device, "token_label") + " (serial " + Cell(device, "token_serial") + ")"},
      {"module", Cell(device, "module_path")},
      {"description", Cell(device, "module_description")},
      {"mechanisms", mechanisms.empty() ? "-" : mechanisms},
      {"calls", Cell(device, "calls") + ", " + Cell(device, "failed_calls") + " failed, " +
                    Cell(device, "abandoned_calls") + " abandoned"},
      {"reconnects", Cell(device, "reconnects")},
      {"worker restarts", Cell(device, "worker_restarts")},
      {"sessions", Cell(device, "sessions_open") + " open, " + Cell(device, "sessions_in_use") +
                       " in use, " + Cell(device, "requests_waiting") + " requests waiting"},
  });
}

std::string RenderEnvironments(const nlohmann::json& environments) {
  Table table{
      {"ENVIRONMENT", "STATE", "MASTER KEY", "VERSION", "ENV KEY", "WRAP", "PROVED", "REASON"}, {}};
  for (const nlohmann::json& environment : environments) {
    table.rows.push_back(
        {Cell(environment, "name"), Cell(environment, "sealed") == "no" ? "unsealed" : "sealed",
         Cell(environment, "master_key_label"), Cell(environment, "master_key_version"),
         Cell(environment, "environment_key_version"), Cell(environment, "wrap_mechanism"),
         LeaseCell(environment), Cell(environment, "reason")});
  }
  return RenderTable(table);
}

Status ShowHsm(Session& session) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/hsm/status"));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  const auto device = data.find("device");
  if (device != data.end() && device->is_object()) {
    KMS_TRY(Print(RenderDevice(*device)));
  }
  const auto environments = data.find("environments");
  if (environments != data.end() && environments->is_array()) {
    KMS_TRY(Print("\n" + RenderEnvironments(*environments)));
  }
  return Ok();
}

}  // namespace

void AddHsmCommands(CLI::App& root, Session& session) {
  CLI::App& family =
      AddCommand(root, "hsm", "The hardware behind the master keys",
                 "  kmsctl hsm list\n  kmsctl hsm add vault-2 --env prod --wait\n");
  family.require_subcommand(1);
  AddHsmListCommands(family, session);
  AddHsmGroupCommands(family, session);
  AddHsmTestCommand(family, session);
  AddCommand(family, "status", "State of the token, sessions, master keys and leases",
             "  kmsctl hsm status\n"
             "  kmsctl hsm status --json | jq '.environments[] | select(.sealed)'\n")
      .callback([&session] { session.command = [&session] { return ShowHsm(session); }; });
}

}  // namespace kms::tools
