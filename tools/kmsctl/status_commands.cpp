// SPDX-License-Identifier: Apache-2.0
// kmsctl status, kmsctl version.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

Status ShowStatus(Session& session) {
  int status = 0;
  nlohmann::json health = KMS_TRY(session.CallForAnyStatus("/v1/sys/health", status));
  const std::string address = KMS_TRY(session.AddressForDisplay());
  if (!health.contains("sealed")) {
    return MakeError(ErrorCode::kInternal, address + " answered HTTP " + std::to_string(status) +
                                               ": is this the address of a key service?");
  }
  if (session.options.json) {
    health["address"] = address;
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
