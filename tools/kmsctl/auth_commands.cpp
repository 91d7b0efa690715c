// SPDX-License-Identifier: Apache-2.0
// kmsctl auth enable|disable|list|tune: which login methods there are, and where.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct MountArguments {
  std::string type;
  std::string path;
  std::optional<std::string> description;
  std::optional<std::string> default_ttl;
  std::optional<std::string> max_ttl;
  std::optional<std::string> token_type;
  bool yes = false;
};

std::string MountPath(const std::string& path) { return "/v1/sys/auth/" + EncodePath(path); }

nlohmann::json ConfigOf(const MountArguments& arguments) {
  nlohmann::json config = nlohmann::json::object();
  if (arguments.default_ttl) {
    config["default_lease_ttl"] = *arguments.default_ttl;
  }
  if (arguments.max_ttl) {
    config["max_lease_ttl"] = *arguments.max_ttl;
  }
  if (arguments.token_type) {
    config["token_type"] = *arguments.token_type;
  }
  return config;
}

Status Done(const Session& session, const std::string& path, const char* what) {
  if (session.options.json) {
    return Print(ToJsonLine({{"path", path}, {what, true}}) + "\n");
  }
  return Print(std::string(what) + " auth/" + path + "\n");
}

Status Enable(Session& session, const MountArguments& arguments) {
  const std::string& path = arguments.path.empty() ? arguments.type : arguments.path;
  nlohmann::json body = {{"type", arguments.type}, {"config", ConfigOf(arguments)}};
  if (arguments.description) {
    body["description"] = *arguments.description;
  }
  KMS_TRY(session.Call("POST", MountPath(path), body));
  return Done(session, path, "enabled");
}

Status Disable(Session& session, const MountArguments& arguments) {
  KMS_TRY(Confirm("Disable auth/" + arguments.path +
                      " with all its roles and users, and revoke every token they logged in for?",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", MountPath(arguments.path)));
  return Done(session, arguments.path, "disabled");
}

Status Tune(Session& session, const MountArguments& arguments) {
  nlohmann::json body = ConfigOf(arguments);
  if (arguments.description) {
    body["description"] = *arguments.description;
  }
  if (body.empty()) {
    return InvalidArgument(
        "nothing to change: give --description, --default-ttl, --max-ttl or --token-type");
  }
  KMS_TRY(session.Call("POST", MountPath(arguments.path) + "/tune", body));
  return Done(session, arguments.path, "changed");
}

Status ListMounts(Session& session) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/auth"));
  const nlohmann::json& mounts = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(mounts) + "\n");
  }
  Table table{{"PATH", "TYPE", "ACCESSOR", "DEFAULT TTL", "MAX TTL", "DESCRIPTION"}, {}};
  for (const auto& [path, mount] : mounts.items()) {
    if (!mount.is_object()) {
      continue;
    }
    const nlohmann::json config = mount.value("config", nlohmann::json::object());
    table.rows.push_back({Printable(path), Cell(mount, "type"), Cell(mount, "accessor"),
                          Cell(config, "default_lease_ttl"), Cell(config, "max_lease_ttl"),
                          Cell(mount, "description")});
  }
  return Print(RenderTable(table));
}

void AddMountOptions(CLI::App& command, MountArguments& arguments) {
  command.add_option("--description", arguments.description, "What it is for")->type_name("TEXT");
  command.add_option("--default-ttl", arguments.default_ttl, "Life of its tokens, for example 1h")
      ->type_name("DURATION");
  command.add_option("--max-ttl", arguments.max_ttl, "Longest life of its tokens")
      ->type_name("DURATION");
  command.add_option("--token-type", arguments.token_type, "service, batch or default-service")
      ->type_name("TYPE");
}

}  // namespace

void AddAuthCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "auth", "Login methods and where they are enabled",
                                "  kmsctl auth list\n  kmsctl auth enable approle\n");
  family.require_subcommand(1);

  CLI::App& enable = AddCommand(family, "enable", "Enable a login method",
                                "  kmsctl auth enable approle\n"
                                "  kmsctl auth enable userpass --max-ttl 12h\n"
                                "  kmsctl auth enable jwt --path ci\n");
  auto enabled = std::make_shared<MountArguments>();
  enable.add_option("TYPE", enabled->type, "approle, userpass, jwt or cert")->required();
  enable.add_option("--path", enabled->path, "Where; default: the type's name")->type_name("PATH");
  AddMountOptions(enable, *enabled);
  OnParse(enable, session, enabled, Enable);

  CLI::App& disable = AddCommand(family, "disable", "Disable a login method and revoke its tokens",
                                 "  kmsctl auth disable ci\n");
  auto disabled = std::make_shared<MountArguments>();
  disable.add_option("PATH", disabled->path, "Where it is enabled")->required();
  AddYesOption(disable, disabled->yes);
  OnParse(disable, session, disabled, Disable);

  AddCommand(family, "list", "List login methods",
             "  kmsctl auth list\n  kmsctl auth list --json | jq 'keys'\n")
      .callback([&session] { session.command = [&session] { return ListMounts(session); }; });

  CLI::App& tune = AddCommand(family, "tune", "Change a login method's settings",
                              "  kmsctl auth tune userpass --default-ttl 8h\n");
  auto tuned = std::make_shared<MountArguments>();
  tune.add_option("PATH", tuned->path, "Where it is enabled")->required();
  AddMountOptions(tune, *tuned);
  OnParse(tune, session, tuned, Tune);
}

}  // namespace kms::tools
