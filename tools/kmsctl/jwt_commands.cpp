// SPDX-License-Identifier: Apache-2.0
// kmsctl jwt config|role: who logs in with a token of another issuer.
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

struct JwtArguments {
  std::string mount;
  std::string name;

  std::string discovery_url;
  std::string jwks_url;
  std::string ca_file;
  std::string jwks_file;
  std::vector<std::string> public_key_files;
  std::string issuer;
  std::string default_role;
  std::vector<std::string> algorithms;

  TokenSettings token;
  std::vector<std::string> audiences;
  std::optional<std::string> subject;
  std::vector<std::string> claims;
  bool glob = false;
  std::optional<std::string> user_claim;
  std::optional<std::string> groups_claim;
  std::vector<std::string> mappings;
  std::optional<std::int64_t> clock_skew_seconds;
  bool once = false;
  bool bind_certificate = false;
  bool yes = false;
};

Result<std::string> TextOfFile(const std::string& file) {
  const PlaintextBuffer content = KMS_TRY(ReadInput({.argument = {}, .file = file}));
  return std::string(AsText(content.View()));
}

// ---- config ------------------------------------------------------------------------------------

Status PutKeys(const JwtArguments& arguments, nlohmann::json& body) {
  if (!arguments.discovery_url.empty()) {
    body["oidc_discovery_url"] = arguments.discovery_url;
  }
  if (!arguments.jwks_url.empty()) {
    body["jwks_url"] = arguments.jwks_url;
  }
  if (!arguments.ca_file.empty()) {
    const bool discovery = !arguments.discovery_url.empty();
    body[discovery ? "oidc_discovery_ca_pem" : "jwks_ca_pem"] =
        KMS_TRY(TextOfFile(arguments.ca_file));
  }
  if (!arguments.jwks_file.empty()) {
    body["jwks"] = KMS_TRY(TextOfFile(arguments.jwks_file));
  }
  for (const std::string& file : arguments.public_key_files) {
    body["jwt_validation_pubkeys"].push_back(KMS_TRY(TextOfFile(file)));
  }
  return Ok();
}

Status WriteConfig(Session& session, const JwtArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  KMS_TRY(PutKeys(arguments, body));
  if (body.empty()) {
    return InvalidArgument(
        "where are the issuer's keys? Give --discovery-url, --jwks-url, --jwks-file or "
        "--public-key");
  }
  if (!arguments.issuer.empty()) {
    body["bound_issuer"] = arguments.issuer;
  }
  if (!arguments.default_role.empty()) {
    body["default_role"] = arguments.default_role;
  }
  if (!arguments.algorithms.empty()) {
    body["jwt_supported_algs"] = arguments.algorithms;
  }
  KMS_TRY(session.Call("POST", AuthPath(arguments.mount, "config"), body));
  return PrintDone(session, "written", "configuration of", arguments.mount);
}

std::string KeysCell(const nlohmann::json& data) {
  for (const char* url : {"oidc_discovery_url", "jwks_url"}) {
    if (!TextOf(data, url).empty()) {
      return Cell(data, url);
    }
  }
  if (!TextOf(data, "jwks").empty()) {
    return "a key set that was given";
  }
  const auto keys = data.find("jwt_validation_pubkeys");
  const std::size_t count = keys != data.end() && keys->is_array() ? keys->size() : 0;
  return std::to_string(count) + (count == 1 ? " public key" : " public keys");
}

Status ReadConfig(Session& session, const JwtArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", AuthPath(arguments.mount, "config")));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  return Print(RenderFields({{"keys", KeysCell(data)},
                             {"issuer", Cell(data, "bound_issuer")},
                             {"default role", Cell(data, "default_role")},
                             {"algorithms", ListCell(data, "jwt_supported_algs")}}));
}

void AddConfigCommands(CLI::App& family, Session& session) {
  CLI::App& config = AddCommand(family, "config", "Whose tokens are taken",
                                "  kmsctl jwt config write --discovery-url https://idp.example\n"
                                "  kmsctl jwt config read\n");
  config.require_subcommand(1);
  CLI::App& write =
      AddCommand(config, "write", "Replace the configuration; exactly one source of keys",
                 "  kmsctl jwt config write --discovery-url https://idp.example\n"
                 "  kmsctl jwt config write --jwks-url https://idp.example/keys \\\n"
                 "      --issuer https://idp.example --ca-file ca.pem\n"
                 "  kmsctl jwt config write --public-key issuer.pem --issuer build\n");
  auto arguments = std::make_shared<JwtArguments>();
  AddMountOption(write, arguments->mount, "jwt");
  write.add_option("--discovery-url", arguments->discovery_url, "The issuer, which is asked")
      ->type_name("URL");
  write.add_option("--jwks-url", arguments->jwks_url, "Where its key set is")->type_name("URL");
  write.add_option("--ca-file", arguments->ca_file, "Authorities of that server (PEM)")
      ->type_name("FILE");
  write.add_option("--jwks-file", arguments->jwks_file, "A key set, which is sent")
      ->type_name("FILE");
  write
      .add_option("--public-key", arguments->public_key_files,
                  "A public key or certificate (PEM), which is sent; may be repeated")
      ->type_name("FILE");
  write.add_option("--issuer", arguments->issuer, "What tokens must name as their issuer")
      ->type_name("TEXT");
  write.add_option("--default-role", arguments->default_role, "The role of logins without one")
      ->type_name("ROLE");
  write.add_option("--algorithm", arguments->algorithms, "Allowed ones; may be repeated")
      ->type_name("NAME")
      ->delimiter(',');
  OnParse(write, session, arguments, WriteConfig);

  CLI::App& read = AddCommand(config, "read", "Show it", "  kmsctl jwt config read\n");
  auto shown = std::make_shared<JwtArguments>();
  AddMountOption(read, shown->mount, "jwt");
  OnParse(read, session, shown, ReadConfig);
}

// ---- roles -------------------------------------------------------------------------------------

std::string RolePath(const JwtArguments& arguments) {
  return AuthPath(arguments.mount, "role/" + EncodePathSegment(arguments.name));
}

struct Pair {
  std::string name;
  std::string value;
};

Result<Pair> SplitPair(const std::string& text, const char* option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return InvalidArgument(std::string(option) + " takes CLAIM=VALUE");
  }
  return Pair{text.substr(0, equals), text.substr(equals + 1)};
}

Status PutClaims(const JwtArguments& arguments, nlohmann::json& body) {
  for (const std::string& text : arguments.claims) {
    const Pair claim = KMS_TRY(SplitPair(text, "--claim"));
    body["bound_claims"][claim.name].push_back(claim.value);
  }
  for (const std::string& text : arguments.mappings) {
    const Pair mapping = KMS_TRY(SplitPair(text, "--map"));
    body["claim_mappings"][mapping.name] = mapping.value;
  }
  if (arguments.glob) {
    body["bound_claims_type"] = "glob";
  }
  return Ok();
}

Status WriteRole(Session& session, const JwtArguments& arguments) {
  nlohmann::json body = {{"role_type", "jwt"}};
  PutTokenSettings(arguments.token, body);
  KMS_TRY(PutClaims(arguments, body));
  for (const auto& [field, text] : {std::pair{"bound_subject", &arguments.subject},
                                    std::pair{"user_claim", &arguments.user_claim},
                                    std::pair{"groups_claim", &arguments.groups_claim}}) {
    if (text->has_value()) {
      body[field] = **text;
    }
  }
  if (!arguments.audiences.empty()) {
    body["bound_audiences"] = arguments.audiences;
  }
  if (arguments.clock_skew_seconds) {
    body["clock_skew_leeway"] = *arguments.clock_skew_seconds;
  }
  if (arguments.once) {
    body["forbid_replay"] = true;
  }
  if (arguments.bind_certificate) {
    body["bind_client_certificate"] = true;
  }
  KMS_TRY(session.Call("POST", RolePath(arguments), body));
  return PrintDone(session, "written", "role", arguments.name);
}

Status ReadRole(Session& session, const JwtArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", RolePath(arguments)));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  const auto claims = data.find("bound_claims");
  std::vector<Field> fields = {
      {"name", Printable(arguments.name)},
      {"user claim", Cell(data, "user_claim")},
      {"audiences", ListCell(data, "bound_audiences")},
      {"subject", Cell(data, "bound_subject")},
      {"claims", claims == data.end() ? "-" : Printable(ToJsonLine(*claims))},
      {"claims are", Cell(data, "bound_claims_type")},
      {"only once", Cell(data, "forbid_replay")},
      {"bound to certificate", Cell(data, "bind_client_certificate")}};
  AppendTokenSettings(data, fields);
  return Print(RenderFields(fields));
}

Status ListRoles(Session& session, const JwtArguments& arguments) {
  const std::vector<std::string> names = KMS_TRY(session.List(AuthPath(arguments.mount, "role")));
  return PrintNames(session, names, "no roles; make one with `kmsctl jwt role write NAME`");
}

Status DeleteRole(Session& session, const JwtArguments& arguments) {
  KMS_TRY(Confirm("Delete role " + arguments.name + "?", arguments.yes));
  KMS_TRY(session.Call("DELETE", RolePath(arguments)));
  return PrintDone(session, "deleted", "role", arguments.name);
}

using Verb = Status (*)(Session&, const JwtArguments&);

std::shared_ptr<JwtArguments> AddRoleVerb(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<JwtArguments>();
  command.add_option("ROLE", arguments->name, "Name of the role")->required();
  AddMountOption(command, arguments->mount, "jwt");
  OnParse(command, session, arguments, verb);
  return arguments;
}

void AddConditions(CLI::App& write, JwtArguments& arguments) {
  write.add_option("--user-claim", arguments.user_claim, "The claim that names who logs in")
      ->type_name("CLAIM");
  write.add_option("--audience", arguments.audiences, "Whom the token is for; may be repeated")
      ->type_name("TEXT")
      ->delimiter(',');
  write.add_option("--subject", arguments.subject, "The one subject")->type_name("TEXT");
  write
      .add_option("--claim", arguments.claims,
                  "What a claim must be; repeated for one claim: one of these")
      ->type_name("CLAIM=VALUE");
  write.add_flag("--glob", arguments.glob, "'*' in a --claim stands for any characters");
  write.add_option("--groups-claim", arguments.groups_claim, "Becomes metadata \"groups\"")
      ->type_name("CLAIM");
  write.add_option("--map", arguments.mappings, "A claim that becomes metadata; may be repeated")
      ->type_name("CLAIM=NAME");
  write
      .add_option("--clock-skew", arguments.clock_skew_seconds,
                  "Seconds that clocks may differ; -1: none")
      ->type_name("N");
  write.add_flag("--once", arguments.once, "Each token logs in once; it needs a jti claim");
  write.add_flag("--bind-certificate", arguments.bind_certificate,
                 "Tokens are good with the login's client certificate only");
}

void AddRoleCommands(CLI::App& family, Session& session) {
  CLI::App& role = AddCommand(family, "role", "What tokens must say, and what they earn",
                              "  kmsctl jwt role write build --user-claim sub --audience kms\n"
                              "  kmsctl jwt role list\n");
  role.require_subcommand(1);
  CLI::App& write =
      AddCommand(role, "write", "Create a role, or change what is given of one",
                 "  kmsctl jwt role write build --user-claim sub --audience kms \\\n"
                 "      --claim 'ref=refs/heads/release-*' --glob --policy build --ttl 10m\n"
                 "  kmsctl jwt role write build --once\n");
  const auto written = AddRoleVerb(write, session, WriteRole);
  AddConditions(write, *written);
  AddTokenSettings(write, written->token);

  AddRoleVerb(AddCommand(role, "read", "Show a role", "  kmsctl jwt role read build\n"), session,
              ReadRole);

  CLI::App& list = AddCommand(role, "list", "List roles", "  kmsctl jwt role list\n");
  auto listed = std::make_shared<JwtArguments>();
  AddMountOption(list, listed->mount, "jwt");
  OnParse(list, session, listed, ListRoles);

  CLI::App& remove =
      AddCommand(role, "delete", "Delete a role", "  kmsctl jwt role delete build --yes\n");
  const auto removed = AddRoleVerb(remove, session, DeleteRole);
  AddYesOption(remove, removed->yes);
}

}  // namespace

void AddJwtCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "jwt", "Logins with tokens of other issuers",
                                "  kmsctl jwt config write --discovery-url https://idp.example\n"
                                "  kmsctl jwt role write build --user-claim sub --audience kms\n");
  family.require_subcommand(1);
  AddConfigCommands(family, session);
  AddRoleCommands(family, session);
}

}  // namespace kms::tools
