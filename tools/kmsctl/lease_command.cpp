// SPDX-License-Identifier: Apache-2.0
// kmsctl env lease: how long an environment's keys stay without an HSM, and which ones open it.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/hsm_cells.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

std::string GraceCell(const nlohmann::json& lease) {
  const std::string grace = DurationCell(lease, "grace_ms");
  return grace == "-" ? "forever: availability mode, keys stay whatever becomes of the HSMs"
                      : grace;
}

std::string ProofCell(const nlohmann::json& lease) {
  const std::string age = DurationCell(lease, "age_ms");
  return age == "-" ? "never since the start" : age + " ago";
}

std::string LastSealCell(const nlohmann::json& lease) {
  const nlohmann::json seal = ObjectMember(lease, "last_seal");
  if (seal.empty()) {
    return "-";
  }
  const std::string unproven = DurationCell(seal, "unproven_ms");
  const std::string late = DurationCell(seal, "late_ms");
  return TimeCell(IntegerOf(seal, "time")) + ": " + Cell(seal, "reason") +
         (unproven == "-" ? "" : ", unproven for " + unproven) +
         (late == "-" ? "" : ", wiped " + late + " after the grace");
}

Status ShowLease(Session& session, const std::string& name) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("GET", "/v1/sys/environments/" + EncodePath(name) + "/lease"));
  const nlohmann::json& lease = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(lease) + "\n");
  }
  KMS_TRY(Print(RenderFields({
      {"environment", Cell(lease, "name")},
      {"state", BooleanOf(lease, "sealed") ? "sealed" : "unsealed"},
      {"reason", Cell(lease, "reason")},
      {"proved", ProofCell(lease)},
      {"interval", DurationCell(lease, "interval_ms")},
      {"grace", GraceCell(lease)},
      {"last sealed", LastSealCell(lease)},
  })));
  return Print("\n" + RenderMembers(ArrayMember(lease, "members"), "HSM", "hsm"));
}

}  // namespace

void AddLeaseCommand(CLI::App& family, Session& session) {
  CLI::App& command =
      AddCommand(family, "lease", "How long an environment's keys stay without an HSM",
                 "  kmsctl env lease prod\n  kmsctl env lease sys\n");
  const auto name = std::make_shared<std::string>();
  command.add_option("NAME", *name, "Name of the environment")->required();
  command.callback([&session, name] {
    session.command = [&session, name] { return ShowLease(session, *name); };
  });
}

}  // namespace kms::tools
