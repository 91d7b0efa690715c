// SPDX-License-Identifier: Apache-2.0
// kmsctl env create|list|show|config|seal|unseal|lease|delete: environments are Transit mounts.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/recovery_keys.h"

namespace kms::tools {

namespace {

struct EnvironmentArguments {
  std::string name;
  std::string description;
  bool is_protected = false;
  bool disable_upsert = false;
  std::string require_approval;
  RecoveryOptions recovery;
  std::string hsms;
  std::optional<std::string> lease_interval;
  std::optional<std::string> lease_grace;
  std::optional<bool> new_protected;
  std::optional<bool> new_disable_upsert;
  std::optional<std::string> new_description;
  std::optional<std::string> new_require_approval;
  std::optional<std::string> external_keys;
  bool yes = false;
};

std::string MountPath(const std::string& name) { return "/v1/sys/mounts/" + EncodePath(name); }

std::string OptionCell(const nlohmann::json& mount, const char* name) {
  const auto options = mount.find("options");
  return options == mount.end() ? "-" : Cell(*options, name);
}

void PutLeaseOptions(const EnvironmentArguments& arguments, nlohmann::json& options) {
  if (arguments.lease_interval.has_value()) {
    options["lease_interval"] = *arguments.lease_interval;
  }
  if (arguments.lease_grace.has_value()) {
    options["lease_grace"] = *arguments.lease_grace;
  }
}

void AddLeaseOptions(CLI::App& command, EnvironmentArguments& arguments) {
  command
      .add_option("--lease-interval", arguments.lease_interval,
                  "How often an HSM must prove that it opens the environment: 5s, 1m")
      ->type_name("DURATION");
  command
      .add_option("--lease-grace", arguments.lease_grace,
                  "How long keys stay in memory while none does: 60s, or forever (availability "
                  "mode: an outage stops nobody, and pulling the HSM wipes nothing)")
      ->type_name("DURATION");
}

Status Create(Session& session, const EnvironmentArguments& arguments) {
  nlohmann::json options = nlohmann::json::object();
  PutLeaseOptions(arguments, options);
  if (!arguments.hsms.empty()) {
    options["hsms"] = arguments.hsms;
  }
  if (arguments.is_protected) {
    options["protected"] = "true";
  }
  if (arguments.disable_upsert) {
    options["disable_upsert"] = "true";
  }
  if (!arguments.require_approval.empty()) {
    options["require_approval"] = arguments.require_approval;
  }
  nlohmann::json body = {{"type", "transit"}, {"options", options}};
  if (!arguments.description.empty()) {
    body["description"] = arguments.description;
  }
  if (!arguments.recovery.keys.empty()) {
    body["recovery"] = KMS_TRY(ReadRecoveryOptions(arguments.recovery));
  }
  KMS_TRY(session.Call("POST", MountPath(arguments.name), body));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"created", true}}) + "\n");
  }
  return Print("created environment " + arguments.name + "\n");
}

// The mounts of type transit, by name without the trailing '/'.
nlohmann::json TransitMounts(const nlohmann::json& data) {
  nlohmann::json mounts = nlohmann::json::object();
  for (const auto& [path, mount] : data.items()) {
    if (mount.is_object() && Cell(mount, "type") == "transit") {
      mounts[path.ends_with('/') ? path.substr(0, path.size() - 1) : path] = mount;
    }
  }
  return mounts;
}

Status ListAll(Session& session) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/mounts"));
  const nlohmann::json mounts = TransitMounts(DataOf(answer));
  if (session.options.json) {
    return Print(ToJsonLine(mounts) + "\n");
  }
  if (mounts.empty()) {
    Note("no environments; make one with `kmsctl env create NAME`");
    return Ok();
  }
  Table table{{"NAME", "PROTECTED", "ACCESSOR", "DESCRIPTION"}, {}};
  for (const auto& [name, mount] : mounts.items()) {
    table.rows.push_back({Printable(name), OptionCell(mount, "protected"), Cell(mount, "accessor"),
                          Cell(mount, "description")});
  }
  return Print(RenderTable(table));
}

Status Show(Session& session, const EnvironmentArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", MountPath(arguments.name)));
  const nlohmann::json& mount = DataOf(answer).empty() ? answer : DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(mount) + "\n");
  }
  return Print(RenderFields({
      {"name", arguments.name},
      {"type", Cell(mount, "type")},
      {"description", Cell(mount, "description")},
      {"protected", OptionCell(mount, "protected")},
      {"disable upsert", OptionCell(mount, "disable_upsert")},
      {"needs approval", OptionCell(mount, "require_approval")},
      {"external keys", OptionCell(mount, "external_keys")},
      {"lease interval", OptionCell(mount, "lease_interval")},
      {"lease grace", OptionCell(mount, "lease_grace")},
      {"accessor", Cell(mount, "accessor")},
      {"uuid", Cell(mount, "uuid")},
  }));
}

Status Configure(Session& session, const EnvironmentArguments& arguments) {
  nlohmann::json tune = nlohmann::json::object();
  if (arguments.new_description.has_value()) {
    tune["description"] = *arguments.new_description;
  }
  if (arguments.new_protected.has_value()) {
    tune["options"]["protected"] = *arguments.new_protected ? "true" : "false";
  }
  if (arguments.new_require_approval.has_value()) {
    tune["options"]["require_approval"] = *arguments.new_require_approval;
  }
  if (arguments.external_keys.has_value()) {
    tune["options"]["external_keys"] = *arguments.external_keys;
  }
  if (arguments.lease_interval.has_value() || arguments.lease_grace.has_value()) {
    PutLeaseOptions(arguments, tune["options"]);
  }
  if (tune.empty() && !arguments.new_disable_upsert.has_value()) {
    return InvalidArgument(
        "nothing to change: give --protected, --disable-upsert, --require-approval, "
        "--lease-interval, --lease-grace or --description");
  }
  if (!tune.empty()) {
    KMS_TRY(session.Call("POST", MountPath(arguments.name) + "/tune", tune));
  }
  if (arguments.new_disable_upsert.has_value()) {
    KMS_TRY(session.Call("POST", EnvironmentPath(arguments.name, "config/keys"),
                         {{"disable_upsert", *arguments.new_disable_upsert}}));
  }
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"changed", true}}) + "\n");
  }
  return Print("changed environment " + arguments.name + "\n");
}

Status Delete(Session& session, const EnvironmentArguments& arguments) {
  KMS_TRY(Confirm("Delete environment " + arguments.name +
                      " with all its keys? Whatever they encrypted is lost.",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", MountPath(arguments.name)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"deleted", true}}) + "\n");
  }
  return Print("deleted environment " + arguments.name + "\n");
}

Status CallOfSeal(Session& session, const EnvironmentArguments& arguments, const char* verb,
                  const char* done) {
  KMS_TRY(session.Call("POST", "/v1/sys/environments/" + EncodePath(arguments.name) + "/" + verb));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {done, true}}) + "\n");
  }
  return Print(std::string(done) + " environment " + arguments.name + "\n");
}

Status Seal(Session& session, const EnvironmentArguments& arguments) {
  KMS_TRY(Confirm("Seal environment " + arguments.name +
                      "? Every call to it is refused until it is unsealed.",
                  arguments.yes, Undo::kPossible));
  return CallOfSeal(session, arguments, "seal", "sealed");
}

Status Unseal(Session& session, const EnvironmentArguments& arguments) {
  return CallOfSeal(session, arguments, "unseal", "unsealed");
}

using Verb = Status (*)(Session&, const EnvironmentArguments&);

// A verb that takes the environment's name; returns its arguments for more options.
std::shared_ptr<EnvironmentArguments> TakeName(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<EnvironmentArguments>();
  command.add_option("NAME", arguments->name, "Name of the environment")->required();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

}  // namespace

void AddEnvironmentCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "env",
                                "Environments: isolated sets of keys, each under its "
                                "own master key",
                                "  kmsctl env create staging\n  kmsctl env list\n");
  family.require_subcommand(1);

  CLI::App& create = AddCommand(family, "create", "Create an environment and its master key",
                                "  kmsctl env create staging --description 'pre-production'\n"
                                "  kmsctl env create prod --protected --hsms vault-1,vault-2\n");
  const auto created = TakeName(create, session, Create);
  create.add_flag("--protected", created->is_protected, "Refuse deletion until this is lifted");
  create.add_flag("--disable-upsert", created->disable_upsert,
                  "Encrypting never creates a missing key");
  create
      .add_option("--require-approval", created->require_approval,
                  "What needs a second person: delete, trim, export, backup, "
                  "min_decryption_version, unprotect, unseal, retire_master, recovery, or all")
      ->type_name("LIST");
  create
      .add_option("--hsms", created->hsms,
                  "The HSM tokens that open it, separated by commas; default: those of sys")
      ->type_name("LIST");
  AddLeaseOptions(create, *created);
  create.add_option("--description", created->description, "What it is for")->type_name("TEXT");
  CLI::Option* const recovery_keys =
      create
          .add_option("--recovery-key", created->recovery.keys,
                      "An offline holder and his public key, for the day every HSM is lost; repeat "
                      "it (see `kmsctl env recovery set --help`)")
          ->type_name("NAME=FILE");
  CLI::Option* const recovery_threshold =
      create
          .add_option("--recovery-threshold", created->recovery.threshold,
                      "How many of these holders open the environment")
          ->type_name("M");
  recovery_keys->needs(recovery_threshold);
  recovery_threshold->needs(recovery_keys);

  AddCommand(family, "list", "List environments",
             "  kmsctl env list\n  kmsctl env list --json | jq 'keys'\n")
      .callback([&session] { session.command = [&session] { return ListAll(session); }; });

  CLI::App& show = AddCommand(family, "show", "Show one environment", "  kmsctl env show prod\n");
  TakeName(show, session, Show);

  CLI::App& config = AddCommand(family, "config", "Change an environment's settings",
                                "  kmsctl env config staging --protected true\n"
                                "  kmsctl env config dev --disable-upsert false\n");
  const auto changed = TakeName(config, session, Configure);
  config.add_option("--protected", changed->new_protected, "Refuse deletion");
  config.add_option("--disable-upsert", changed->new_disable_upsert,
                    "Encrypting never creates a missing key");
  config
      .add_option("--require-approval", changed->new_require_approval,
                  "What needs a second person, as for create; fewer than before needs one too")
      ->type_name("LIST");
  config
      .add_option("--external-keys", changed->external_keys,
                  "Keys of HSMs that keys here may refer to: default:app-*,second:signing; empty: "
                  "none")
      ->type_name("LIST");
  AddLeaseOptions(config, *changed);
  config.add_option("--description", changed->new_description, "What it is for")->type_name("TEXT");

  CLI::App& seal = AddCommand(family, "seal", "Wipe an environment's keys from memory",
                              "  kmsctl env seal prod\n");
  const auto sealed = TakeName(seal, session, Seal);
  AddYesOption(seal, sealed->yes);
  TakeName(AddCommand(family, "unseal", "Open a sealed environment again",
                      "  kmsctl env unseal prod\n"),
           session, Unseal);

  AddLeaseCommand(family, session);
  AddRecoveryCommands(family, session);

  CLI::App& remove = AddCommand(family, "delete", "Delete an environment, its keys and master key",
                                "  kmsctl env delete scratch\n  kmsctl env delete scratch --yes\n");
  const auto removed = TakeName(remove, session, Delete);
  AddYesOption(remove, removed->yes);
}

}  // namespace kms::tools
