// SPDX-License-Identifier: Apache-2.0
// kmsctl approle role|role-id|secret-id: applications that log in with a role ID and a secret ID.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/login_method.h"

namespace kms::tools {

namespace {

struct RoleArguments {
  std::string mount;
  std::string name;
  TokenSettings token;
  std::optional<std::string> secret_id_ttl;
  std::optional<std::int64_t> secret_id_num_uses;
  std::vector<std::string> secret_id_cidrs;
  std::string new_role_id;
  std::string accessor;
  std::vector<std::string> metadata;
  std::string wrap_ttl;
  std::string output_file;
  bool yes = false;
};

std::string RolePath(const RoleArguments& arguments, const std::string& rest = {}) {
  return AuthPath(arguments.mount, "role/" + EncodePathSegment(arguments.name) + rest);
}

Status WriteRole(Session& session, const RoleArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  PutTokenSettings(arguments.token, body);
  if (arguments.secret_id_ttl) {
    body["secret_id_ttl"] = *arguments.secret_id_ttl;
  }
  if (arguments.secret_id_num_uses) {
    body["secret_id_num_uses"] = *arguments.secret_id_num_uses;
  }
  if (!arguments.secret_id_cidrs.empty()) {
    body["secret_id_bound_cidrs"] = arguments.secret_id_cidrs;
  }
  KMS_TRY(session.Call("POST", RolePath(arguments), body));
  return PrintDone(session, "written", "role", arguments.name);
}

Status ReadRole(Session& session, const RoleArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", RolePath(arguments)));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::vector<Field> fields = {{"name", Printable(arguments.name)},
                               {"needs secret id", Cell(data, "bind_secret_id")},
                               {"secret id ttl", Cell(data, "secret_id_ttl")},
                               {"secret id uses", Cell(data, "secret_id_num_uses")},
                               {"secret id from", ListCell(data, "secret_id_bound_cidrs")}};
  AppendTokenSettings(data, fields);
  return Print(RenderFields(fields));
}

Status ListRoles(Session& session, const RoleArguments& arguments) {
  const std::vector<std::string> names = KMS_TRY(session.List(AuthPath(arguments.mount, "role")));
  return PrintNames(session, names, "no roles; make one with `kmsctl approle role write NAME`");
}

Status DeleteRole(Session& session, const RoleArguments& arguments) {
  KMS_TRY(Confirm("Delete role " + arguments.name + " with all its secret IDs?", arguments.yes));
  KMS_TRY(session.Call("DELETE", RolePath(arguments)));
  return PrintDone(session, "deleted", "role", arguments.name);
}

// Shows it; sets it first when a new one is given.
Status ShowRoleId(Session& session, const RoleArguments& arguments) {
  if (!arguments.new_role_id.empty()) {
    KMS_TRY(session.Call("POST", RolePath(arguments, "/role-id"),
                         {{"role_id", arguments.new_role_id}}));
  }
  const nlohmann::json answer = KMS_TRY(session.Call("GET", RolePath(arguments, "/role-id")));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  return Print(Cell(DataOf(answer), "role_id") + "\n");
}

Result<nlohmann::json> MetadataOf(const RoleArguments& arguments) {
  nlohmann::json metadata = nlohmann::json::object();
  for (const std::string& pair : arguments.metadata) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--metadata takes NAME=VALUE");
    }
    metadata[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return metadata;
}

Result<nlohmann::json> SecretIdBody(const RoleArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (!arguments.metadata.empty()) {
    const nlohmann::json metadata = KMS_TRY(MetadataOf(arguments));
    body["metadata"] = metadata.dump();  // the contract has JSON inside of a string
  }
  if (arguments.secret_id_ttl) {
    body["ttl"] = *arguments.secret_id_ttl;
  }
  if (arguments.secret_id_num_uses) {
    body["num_uses"] = *arguments.secret_id_num_uses;
  }
  if (!arguments.secret_id_cidrs.empty()) {
    body["cidr_list"] = arguments.secret_id_cidrs;
  }
  return body;
}

// The secret goes to the file when one is named, and is printed otherwise.
Status ShowSecretId(const Session& session, const RoleArguments& arguments, nlohmann::json data,
                    const char* secret_member) {
  const std::string secret(TextOf(data, secret_member));
  if (secret.empty()) {
    return MakeError(ErrorCode::kInternal, "the answer holds no secret ID");
  }
  if (!arguments.output_file.empty()) {
    OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
    KMS_TRY(sink.Write(AsBytes(secret + "\n")));
    KMS_TRY(sink.Commit());
    data.erase(secret_member);
    data["file"] = arguments.output_file;
  }
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::vector<Field> fields;
  for (const auto& [name, value] : data.items()) {
    fields.emplace_back(Printable(name), Cell(data, name));
  }
  return Print(RenderFields(fields));
}

Status CreateSecretId(Session& session, const RoleArguments& arguments) {
  const nlohmann::json body = KMS_TRY(SecretIdBody(arguments));
  session.options.wrap_ttl = arguments.wrap_ttl;
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", RolePath(arguments, "/secret-id"), body));
  const auto wrapped = answer.find("wrap_info");
  if (wrapped != answer.end() && wrapped->is_object()) {
    return ShowSecretId(session, arguments, *wrapped, "token");
  }
  return ShowSecretId(session, arguments, DataOf(answer), "secret_id");
}

Status ListSecretIds(Session& session, const RoleArguments& arguments) {
  const std::vector<std::string> accessors =
      KMS_TRY(session.List(RolePath(arguments, "/secret-id")));
  return PrintNames(session, accessors,
                    "no secret IDs; make one with `kmsctl approle secret-id create ROLE`");
}

Status ShowSecretIdOf(Session& session, const RoleArguments& arguments) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", RolePath(arguments, "/secret-id-accessor/lookup"),
                           {{"secret_id_accessor", arguments.accessor}}));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  return Print(RenderFields({{"accessor", Cell(data, "secret_id_accessor")},
                             {"created", Cell(data, "creation_time")},
                             {"expires", Cell(data, "expiration_time")},
                             {"ttl", Cell(data, "secret_id_ttl")},
                             {"uses left", Cell(data, "secret_id_num_uses")},
                             {"from", ListCell(data, "cidr_list")}}));
}

Status DestroySecretId(Session& session, const RoleArguments& arguments) {
  KMS_TRY(session.Call("POST", RolePath(arguments, "/secret-id-accessor/destroy"),
                       {{"secret_id_accessor", arguments.accessor}}));
  return PrintDone(session, "destroyed", "secret ID", arguments.accessor);
}

using Verb = Status (*)(Session&, const RoleArguments&);

std::shared_ptr<RoleArguments> AddRoleVerb(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<RoleArguments>();
  command.add_option("ROLE", arguments->name, "Name of the role")->required();
  AddMountOption(command, arguments->mount, "approle");
  OnParse(command, session, arguments, verb);
  return arguments;
}

void AddSecretIdLimits(CLI::App& command, RoleArguments& arguments) {
  command.add_option("--secret-id-ttl", arguments.secret_id_ttl, "Life of a secret ID")
      ->type_name("DURATION");
  command
      .add_option("--secret-id-uses", arguments.secret_id_num_uses,
                  "Logins a secret ID is good for; 0: any number")
      ->type_name("N");
  command
      .add_option("--secret-id-cidr", arguments.secret_id_cidrs,
                  "Where a login may come from; may be repeated")
      ->type_name("BLOCK")
      ->delimiter(',');
}

void AddRoleCommands(CLI::App& family, Session& session) {
  CLI::App& role = AddCommand(family, "role", "Roles of applications",
                              "  kmsctl approle role write orders --policy orders\n"
                              "  kmsctl approle role list\n");
  role.require_subcommand(1);
  CLI::App& write = AddCommand(role, "write", "Create a role, or change what is given of one",
                               "  kmsctl approle role write orders --policy orders --ttl 1h \\\n"
                               "      --secret-id-ttl 10m --secret-id-uses 1\n");
  const auto written = AddRoleVerb(write, session, WriteRole);
  AddTokenSettings(write, written->token);
  AddSecretIdLimits(write, *written);

  AddRoleVerb(AddCommand(role, "read", "Show a role", "  kmsctl approle role read orders\n"),
              session, ReadRole);

  CLI::App& list = AddCommand(role, "list", "List roles", "  kmsctl approle role list\n");
  auto listed = std::make_shared<RoleArguments>();
  AddMountOption(list, listed->mount, "approle");
  OnParse(list, session, listed, ListRoles);

  CLI::App& remove = AddCommand(role, "delete", "Delete a role and its secret IDs",
                                "  kmsctl approle role delete orders --yes\n");
  const auto removed = AddRoleVerb(remove, session, DeleteRole);
  AddYesOption(remove, removed->yes);
}

void AddSecretIdCommands(CLI::App& family, Session& session) {
  CLI::App& secret_id = AddCommand(family, "secret-id", "Secret IDs of a role",
                                   "  kmsctl approle secret-id create orders --wrap-ttl 5m\n");
  secret_id.require_subcommand(1);
  CLI::App& create =
      AddCommand(secret_id, "create", "Make a secret ID; it is shown once",
                 "  kmsctl approle secret-id create orders --output-file secret-id\n"
                 "  kmsctl approle secret-id create orders --wrap-ttl 5m\n"
                 "      (prints a token that can be unwrapped once: nobody in between sees it)\n");
  const auto created = AddRoleVerb(create, session, CreateSecretId);
  AddSecretIdLimits(create, *created);
  create.add_option("--metadata", created->metadata, "NAME=VALUE for its tokens; may be repeated")
      ->type_name("NAME=VALUE");
  create.add_option("--wrap-ttl", created->wrap_ttl, "Hand out a wrapping token instead")
      ->type_name("DURATION");
  create
      .add_option("--output-file", created->output_file,
                  "Write the secret to this file (mode 0600) instead of printing it")
      ->type_name("FILE");

  AddRoleVerb(AddCommand(secret_id, "list", "List accessors of a role's secret IDs",
                         "  kmsctl approle secret-id list orders\n"),
              session, ListSecretIds);

  CLI::App& read = AddCommand(secret_id, "read", "Show what is known of a secret ID",
                              "  kmsctl approle secret-id read orders ACCESSOR\n");
  const auto shown = AddRoleVerb(read, session, ShowSecretIdOf);
  read.add_option("ACCESSOR", shown->accessor, "As `list` shows it")->required();

  CLI::App& destroy = AddCommand(secret_id, "destroy", "Destroy a secret ID: no more logins by it",
                                 "  kmsctl approle secret-id destroy orders ACCESSOR\n");
  const auto destroyed = AddRoleVerb(destroy, session, DestroySecretId);
  destroy.add_option("ACCESSOR", destroyed->accessor, "As `list` shows it")->required();
}

}  // namespace

void AddAppRoleCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "approle", "Applications that log in by themselves",
                                "  kmsctl approle role write orders --policy orders\n"
                                "  kmsctl approle role-id orders\n"
                                "  kmsctl approle secret-id create orders\n");
  family.require_subcommand(1);
  AddRoleCommands(family, session);
  CLI::App& role_id = AddCommand(family, "role-id", "Show a role's ID, or set it",
                                 "  kmsctl approle role-id orders\n"
                                 "  kmsctl approle role-id orders --set orders-service\n");
  const auto shown = AddRoleVerb(role_id, session, ShowRoleId);
  role_id.add_option("--set", shown->new_role_id, "New role ID")->type_name("ID");
  AddSecretIdCommands(family, session);
}

}  // namespace kms::tools
