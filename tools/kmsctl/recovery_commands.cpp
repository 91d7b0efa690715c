// SPDX-License-Identifier: Apache-2.0
// kmsctl env recovery show|set|clear: the offline holders who can open an environment without any
// HSM.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/recovery_keys.h"

namespace kms::tools {

namespace {

struct RecoveryArguments {
  std::string name;
  int threshold = 0;
  std::vector<std::string> keys;  // NAME=FILE
  bool yes = false;
};

std::string RecoveryPath(const std::string& name) {
  return "/v1/sys/environments/" + EncodePath(name) + "/recovery";
}

Status PrintRecovery(const std::string& name, const nlohmann::json& data) {
  KMS_TRY(Print(RenderFields({
      {"environment", Printable(name)},
      {"recoverable", BooleanOf(data, "recoverable") ? "yes" : "no"},
      {"holders needed", Cell(data, "threshold")},
  })));
  Table table{{"HOLDER", "KEY", "FINGERPRINT"}, {}};
  const auto recipients = data.find("recipients");
  if (recipients != data.end() && recipients->is_array()) {
    for (const nlohmann::json& each : *recipients) {
      table.rows.push_back({Cell(each, "name"), Cell(each, "type"), Cell(each, "fingerprint")});
    }
    KMS_TRY(Print("\n" + RenderTable(table)));
  }
  return Ok();
}

// What an operator should know that the fields do not say.
void Advise(const std::string& name, const nlohmann::json& data) {
  if (data.find("recipients") == data.end()) {
    Note("nobody can open " + name +
         " when its HSMs are lost; see `kmsctl env recovery set --help`");
  } else if (!BooleanOf(data, "recoverable")) {
    Note("not every key version of " + name + " is split among the holders; set them again");
  }
  if (!BooleanOf(data, "sys_recoverable")) {
    Note(
        "sys has no recovery holders: a recovery begins with sys, so give it some too: "
        "kmsctl env recovery set sys …");
  }
}

Status Show(Session& session, const RecoveryArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", RecoveryPath(arguments.name)));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  KMS_TRY(PrintRecovery(arguments.name, data));
  Advise(arguments.name, data);
  return Ok();
}

Status Set(Session& session, const RecoveryArguments& arguments) {
  const nlohmann::json body =
      KMS_TRY(ReadRecoveryOptions({.threshold = arguments.threshold, .keys = arguments.keys}));
  KMS_TRY(session.Call("POST", RecoveryPath(arguments.name), body));
  const nlohmann::json answer = KMS_TRY(session.Call("GET", RecoveryPath(arguments.name)));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  KMS_TRY(PrintRecovery(arguments.name, data));
  Note(
      "read each fingerprint to its holder; shares of earlier holders are deleted, but backups "
      "still "
      "hold them: when a holder was dismissed, rotate the environment key too (kmsctl env "
      "rotate-key)");
  Advise(arguments.name, data);
  return Ok();
}

Status Clear(Session& session, const RecoveryArguments& arguments) {
  KMS_TRY(Confirm("Delete the recovery shares of " + arguments.name +
                      "? Once its HSMs are lost nobody can open it.",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", RecoveryPath(arguments.name)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"cleared", true}}) + "\n");
  }
  return Print("deleted the recovery shares of " + arguments.name + "\n");
}

using Verb = Status (*)(Session&, const RecoveryArguments&);

std::shared_ptr<RecoveryArguments> TakeName(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<RecoveryArguments>();
  command.add_option("NAME", arguments->name, "Name of the environment, or sys")->required();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

}  // namespace

void AddRecoveryCommands(CLI::App& environments, Session& session) {
  CLI::App& family = AddCommand(environments, "recovery",
                                "Offline holders who open an environment when every HSM is lost",
                                "  kmsctl env recovery show prod\n");
  family.require_subcommand(1);
  TakeName(AddCommand(family, "show", "Who can open the environment without any HSM",
                      "  kmsctl env recovery show prod\n"),
           session, Show);
  CLI::App& set = AddCommand(
      family, "set", "Split the environment's keys among holders, instead of those before",
      "  kmsctl recover new-holder --out alice.pem      # each holder, offline\n"
      "  kmsctl env recovery set prod --threshold 2 --key alice=alice.pem.pub \\\n"
      "      --key bob=bob.pem.pub --key carol=carol.pem.pub\n"
      "  kmsctl env recovery set sys --threshold 2 --key …      # needed too\n");
  const auto setting = TakeName(set, session, Set);
  set.add_option("--threshold", setting->threshold, "How many of them open it")
      ->required()
      ->type_name("M");
  set.add_option(
         "--key", setting->keys,
         "A holder and his public key (PEM: X25519, or RSA of 3072 bits or more); repeat it")
      ->required()
      ->type_name("NAME=FILE");
  CLI::App& clear = AddCommand(family, "clear", "Delete the shares: nobody can recover it any more",
                               "  kmsctl env recovery clear scratch --yes\n");
  AddYesOption(clear, TakeName(clear, session, Clear)->yes);
}

}  // namespace kms::tools
