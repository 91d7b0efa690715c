// SPDX-License-Identifier: Apache-2.0
// kmsctl token role write|show|list|delete: what tokens made through a role may have.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct RoleArguments {
  std::string name;
  std::vector<std::string> allowed;
  std::vector<std::string> allowed_globs;
  std::vector<std::string> disallowed;
  std::vector<std::string> disallowed_globs;
  std::vector<std::string> cidrs;
  std::optional<bool> orphan;
  std::optional<bool> renewable;
  std::optional<std::int64_t> uses;
  std::string ttl;
  std::string max_ttl;
  std::string explicit_max_ttl;
  std::string period;
  std::string type;
  std::string path_suffix;
  bool yes = false;
};

std::string RolePath(const RoleArguments& arguments) {
  return "/v1/auth/token/roles/" + EncodePathSegment(arguments.name);
}

nlohmann::json BodyOf(const RoleArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  const auto add_list = [&body](const char* name, const std::vector<std::string>& values) {
    if (!values.empty()) {
      body[name] = values;
    }
  };
  const auto add_text = [&body](const char* name, const std::string& value) {
    if (!value.empty()) {
      body[name] = value;
    }
  };
  add_list("allowed_policies", arguments.allowed);
  add_list("allowed_policies_glob", arguments.allowed_globs);
  add_list("disallowed_policies", arguments.disallowed);
  add_list("disallowed_policies_glob", arguments.disallowed_globs);
  add_list("token_bound_cidrs", arguments.cidrs);
  add_text("token_ttl", arguments.ttl);
  add_text("token_max_ttl", arguments.max_ttl);
  add_text("token_explicit_max_ttl", arguments.explicit_max_ttl);
  add_text("token_period", arguments.period);
  add_text("token_type", arguments.type);
  add_text("path_suffix", arguments.path_suffix);
  if (arguments.orphan) {
    body["orphan"] = *arguments.orphan;
  }
  if (arguments.renewable) {
    body["renewable"] = *arguments.renewable;
  }
  if (arguments.uses) {
    body["token_num_uses"] = *arguments.uses;
  }
  return body;
}

Status Write(Session& session, const RoleArguments& arguments) {
  KMS_TRY(session.Call("POST", RolePath(arguments), BodyOf(arguments)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"written", true}}) + "\n");
  }
  return Print("wrote token role " + arguments.name + "\n");
}

Status Show(Session& session, const RoleArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", RolePath(arguments)));
  const nlohmann::json& role = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(role) + "\n");
  }
  std::vector<Field> fields;
  for (const auto& [name, value] : role.items()) {
    fields.emplace_back(Printable(name),
                        value.is_array() ? Printable(value.dump()) : Cell(role, name));
  }
  return Print(RenderFields(fields));
}

Status ListAll(Session& session, const RoleArguments& /*arguments*/) {
  const std::vector<std::string> names = KMS_TRY(session.List("/v1/auth/token/roles"));
  if (session.options.json) {
    return Print(ToJsonLine(names) + "\n");
  }
  if (names.empty()) {
    Note("no token roles; make one with `kmsctl token role write NAME --allow POLICY`");
    return Ok();
  }
  std::string lines;
  for (const std::string& name : names) {
    lines += Printable(name) + "\n";
  }
  return Print(lines);
}

Status Delete(Session& session, const RoleArguments& arguments) {
  KMS_TRY(Confirm("Delete token role " + arguments.name + "? Tokens made through it live on.",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", RolePath(arguments)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"deleted", true}}) + "\n");
  }
  return Print("deleted token role " + arguments.name + "\n");
}

using Verb = Status (*)(Session&, const RoleArguments&);

std::shared_ptr<RoleArguments> Take(CLI::App& command, Session& session, Verb verb,
                                    bool with_name = true) {
  auto arguments = std::make_shared<RoleArguments>();
  if (with_name) {
    command.add_option("NAME", arguments->name, "Name of the role")->required();
  }
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

void AddWrite(CLI::App& family, Session& session) {
  CLI::App& write =
      AddCommand(family, "write", "Create a role or change what is given",
                 "  kmsctl token role write ci --allow app --allow web --ttl 1h --orphan true\n"
                 "  kmsctl token role write team --allow-glob 'team-*' --disallow team-admin\n");
  const auto role = Take(write, session, Write);
  write.add_option("--allow", role->allowed, "A policy its tokens may have; repeat for more");
  write.add_option("--allow-glob", role->allowed_globs, "Policies by a name with * at an end");
  write.add_option("--disallow", role->disallowed, "A policy its tokens never have");
  write.add_option("--disallow-glob", role->disallowed_globs, "The same with * at an end");
  write.add_option("--bound-cidr", role->cidrs, "Addresses its tokens are good from");
  write.add_option("--orphan", role->orphan, "Its tokens do not end with their maker");
  write.add_option("--renewable", role->renewable, "Its tokens can be renewed");
  write.add_option("--uses", role->uses, "How often each may be used; 0: not limited");
  write.add_option("--ttl", role->ttl, "How long they live")->type_name("TIME");
  write.add_option("--max-ttl", role->max_ttl, "How long renewals reach")->type_name("TIME");
  write.add_option("--explicit-max-ttl", role->explicit_max_ttl, "When they end in any case")
      ->type_name("TIME");
  write.add_option("--period", role->period, "Lives that long after each renewal")
      ->type_name("TIME");
  write.add_option("--type", role->type, "default, service or batch");
  write.add_option("--path-suffix", role->path_suffix, "Ends the path their look-ups show");
}

}  // namespace

void AddTokenRoleCommands(CLI::App& tokens, Session& session) {
  CLI::App& family = AddCommand(tokens, "role", "Token roles: what may be asked of create --role",
                                "  kmsctl token role list\n  kmsctl token role show ci\n");
  family.require_subcommand(1);
  AddWrite(family, session);
  CLI::App& show = AddCommand(family, "show", "Show a role", "  kmsctl token role show ci\n");
  Take(show, session, Show);
  CLI::App& list = AddCommand(family, "list", "List roles", "  kmsctl token role list\n");
  Take(list, session, ListAll, /*with_name=*/false);
  CLI::App& remove =
      AddCommand(family, "delete", "Delete a role", "  kmsctl token role delete ci --yes\n");
  AddYesOption(remove, Take(remove, session, Delete)->yes);
}

}  // namespace kms::tools
