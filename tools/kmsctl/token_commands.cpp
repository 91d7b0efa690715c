// SPDX-License-Identifier: Apache-2.0
// kmsctl token create|lookup|renew|revoke|accessors|revoke-source|tidy|role …: whose tokens there
// are, and their end. A token is never an argument.
#include <openssl/crypto.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/secret_input.h"

namespace kms::tools {

namespace {

constexpr std::size_t kBodyBytes = std::size_t{16} << 10U;
const std::string kTokenPath = "/v1/auth/token/";

struct TokenArguments {
  // create
  std::vector<std::string> policies;
  std::vector<std::string> metadata;
  std::string ttl;
  std::string explicit_max_ttl;
  std::string period;
  std::int64_t uses = 0;
  std::string role;
  std::string display_name;
  bool orphan = false;
  bool batch = false;
  bool no_default_policy = false;
  bool not_renewable = false;
  bool print = false;
  std::string output_file;
  // which token
  std::string accessor;
  std::string target_file;
  bool self = false;
  std::string increment;
  bool yes = false;
  // revoke-source
  std::string mount;
  std::string alias;
};

// Takes a secret text out of an answer and wipes it there.
class TakenToken {
 public:
  TakenToken(nlohmann::json& object, const char* name) : text_(TextOf(object, name)) {
    if (!text_.empty()) {
      auto& original = object[name].get_ref<std::string&>();
      OPENSSL_cleanse(original.data(), original.size());
    }
    object.erase(name);
  }
  TakenToken(const TakenToken&) = delete;
  TakenToken& operator=(const TakenToken&) = delete;
  ~TakenToken() { OPENSSL_cleanse(text_.data(), text_.size()); }
  [[nodiscard]] std::string_view View() const { return text_; }

 private:
  std::string text_;
};

std::string ListCell(const nlohmann::json& object, const char* name) {
  std::string cell;
  const auto found = object.find(name);
  if (found != object.end() && found->is_array()) {
    for (const nlohmann::json& item : *found) {
      cell += (cell.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : "");
    }
  }
  return cell.empty() ? "-" : Printable(cell);
}

std::string SecondsCell(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) {
    return "-";
  }
  return found->get<std::int64_t>() == 0 ? "never ends" : found->dump() + " s";
}

// ---- create -------------------------------------------------------------------------------------

Result<nlohmann::json> MetadataOf(const TokenArguments& arguments) {
  nlohmann::json metadata = nlohmann::json::object();
  for (const std::string& pair : arguments.metadata) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--meta takes KEY=VALUE");
    }
    metadata[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return metadata;
}

Result<nlohmann::json> CreateBody(const TokenArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  const auto add = [&body](const char* name, const std::string& value) {
    if (!value.empty()) {
      body[name] = value;
    }
  };
  if (!arguments.policies.empty()) {
    body["policies"] = arguments.policies;
  }
  const nlohmann::json metadata = KMS_TRY(MetadataOf(arguments));
  if (!metadata.empty()) {
    body["meta"] = metadata;
  }
  add("ttl", arguments.ttl);
  add("explicit_max_ttl", arguments.explicit_max_ttl);
  add("period", arguments.period);
  add("display_name", arguments.display_name);
  add("type", arguments.batch ? "batch" : "");
  if (arguments.uses != 0) {
    body["num_uses"] = arguments.uses;
  }
  if (arguments.no_default_policy) {
    body["no_default_policy"] = true;
  }
  if (arguments.not_renewable) {
    body["renewable"] = false;
  }
  return body;
}

Status ShowCreated(const Session& session, const TokenArguments& arguments, nlohmann::json auth,
                   std::string_view token) {
  const bool to_file = !arguments.output_file.empty();
  if (to_file) {
    OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
    KMS_TRY(sink.Write(AsBytes(token)));
    KMS_TRY(sink.Write(AsBytes("\n")));
    KMS_TRY(sink.Commit());
  }
  if (session.options.json) {
    if (!to_file) {
      auth["client_token"] = token;
    } else {
      auth["token_file"] = arguments.output_file;
    }
    return Print(ToJsonLine(auth) + "\n");
  }
  std::vector<Field> fields;
  if (!to_file) {
    fields.emplace_back("token", token);
  }
  fields.emplace_back("accessor", Cell(auth, "accessor"));
  fields.emplace_back("policies", ListCell(auth, "policies"));
  fields.emplace_back("lives", SecondsCell(auth, "lease_duration"));
  fields.emplace_back("renewable", Cell(auth, "renewable"));
  KMS_TRY(Print(RenderFields(fields)));
  Note(to_file ? "the token is in " + arguments.output_file
               : "the token is shown this once; nobody can show it again");
  return Ok();
}

Status Create(Session& session, const TokenArguments& arguments) {
  if (arguments.print && !arguments.output_file.empty()) {
    return InvalidArgument("give --print-token or --output-file, not both");
  }
  if (arguments.orphan && !arguments.role.empty()) {
    return InvalidArgument("a role says itself whether its tokens are orphans: leave --orphan out");
  }
  std::string path = kTokenPath + (arguments.orphan ? "create-orphan" : "create");
  if (!arguments.role.empty()) {
    path += "/" + EncodePathSegment(arguments.role);
  }
  const nlohmann::json body = KMS_TRY(CreateBody(arguments));
  nlohmann::json answer = KMS_TRY(session.Call("POST", path, body));
  nlohmann::json& auth = answer["auth"];
  if (!auth.is_object()) {
    return MakeError(ErrorCode::kInternal, "the server answered without a token");
  }
  const TakenToken token(auth, "client_token");
  if (arguments.print) {
    return WriteStandardOutput(AsBytes(std::string(token.View()) + "\n"));
  }
  return ShowCreated(session, arguments, std::move(auth), token.View());
}

// ---- one token ----------------------------------------------------------------------------------

// Calls `verb`-self, `verb` or `verb`-accessor, whichever the arguments name.
Result<nlohmann::json> CallOn(Session& session, const TokenArguments& arguments,
                              const std::string& verb) {
  if (!arguments.accessor.empty() && !arguments.target_file.empty()) {
    return InvalidArgument("name the token by --accessor or by --target-file, not by both");
  }
  JsonBody body(kBodyBytes);
  body.BeginObject();
  std::string path = kTokenPath + verb;
  PlaintextBuffer token;
  if (!arguments.accessor.empty()) {
    path += "-accessor";
    body.AddText("accessor", arguments.accessor);
  } else if (!arguments.target_file.empty()) {
    token = KMS_TRY(ReadSecretLine(arguments.target_file, "Token: "));
    body.AddText("token", AsText(token.View()));
  } else {
    path += "-self";
  }
  if (!arguments.increment.empty()) {
    body.AddText("increment", arguments.increment);
  }
  body.EndObject();
  return session.CallRaw("POST", path, body.View());
}

Status Lookup(Session& session, const TokenArguments& arguments) {
  nlohmann::json answer = KMS_TRY(CallOn(session, arguments, "lookup"));
  nlohmann::json data = DataOf(answer);
  const TakenToken in_answer(answer["data"], "id");
  const TakenToken in_data(data, "id");
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  return Print(RenderFields({
      {"accessor", Cell(data, "accessor")},
      {"display name", Cell(data, "display_name")},
      {"type", Cell(data, "type")},
      {"policies", ListCell(data, "policies")},
      {"made by", Cell(data, "path")},
      {"entity", Cell(data, "entity_id")},
      {"lives", SecondsCell(data, "ttl")},
      {"expires", Cell(data, "expire_time")},
      {"renewable", Cell(data, "renewable")},
      {"uses left", IntegerOf(data, "num_uses") == 0 ? "not limited" : Cell(data, "num_uses")},
      {"orphan", Cell(data, "orphan")},
      {"bound to", ListCell(data, "bound_cidrs")},
  }));
}

Status Renew(Session& session, const TokenArguments& arguments) {
  nlohmann::json answer = KMS_TRY(CallOn(session, arguments, "renew"));
  nlohmann::json& auth = answer["auth"];
  const TakenToken token(auth, "client_token");
  if (session.options.json) {
    return Print(ToJsonLine(auth) + "\n");
  }
  return Print("renewed token " + Cell(auth, "accessor") + ": " +
               SecondsCell(auth, "lease_duration") + " left\n");
}

Status Revoke(Session& session, const TokenArguments& arguments) {
  const bool other = !arguments.accessor.empty() || !arguments.target_file.empty();
  if (other == arguments.self) {
    return InvalidArgument("say which token: --self, --accessor ACCESSOR or --target-file FILE");
  }
  if (arguments.orphan && arguments.target_file.empty()) {
    return InvalidArgument("--spare-children needs the token itself: --target-file FILE");
  }
  const std::string verb = arguments.orphan ? "revoke-orphan" : "revoke";
  KMS_TRY(CallOn(session, arguments, verb));
  if (session.options.json) {
    return Print(ToJsonLine({{"revoked", true}}) + "\n");
  }
  return Print(arguments.orphan ? "revoked the token; its children live on\n"
                                : "revoked the token and all of its children\n");
}

// ---- all of them --------------------------------------------------------------------------------

Status Accessors(Session& session, const TokenArguments& /*arguments*/) {
  const std::vector<std::string> accessors = KMS_TRY(session.List(kTokenPath + "accessors"));
  if (session.options.json) {
    return Print(ToJsonLine(accessors) + "\n");
  }
  std::string lines;
  for (const std::string& accessor : accessors) {
    lines += Printable(accessor) + "\n";
  }
  return Print(lines);
}

Status RevokeSource(Session& session, const TokenArguments& arguments) {
  KMS_TRY(Confirm("Revoke every token that came through " + arguments.mount +
                      (arguments.role.empty() ? "" : ", role " + arguments.role) +
                      (arguments.alias.empty() ? "" : ", alias " + arguments.alias) + "?",
                  arguments.yes));
  nlohmann::json body = {{"mount", arguments.mount}};
  if (!arguments.role.empty()) {
    body["role"] = arguments.role;
  }
  if (!arguments.alias.empty()) {
    body["alias"] = arguments.alias;
  }
  const nlohmann::json answer = KMS_TRY(session.Call("POST", kTokenPath + "revoke-source", body));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  return Print("revoked " + Cell(DataOf(answer), "revoked") +
               " stored tokens, and every batch token of this source\n");
}

Status Tidy(Session& session, const TokenArguments& /*arguments*/) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", kTokenPath + "tidy", nlohmann::json::object()));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  return Print("deleted " + Cell(DataOf(answer), "deleted") + " entries of tokens that ended\n");
}

using Verb = Status (*)(Session&, const TokenArguments&);

std::shared_ptr<TokenArguments> Take(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<TokenArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

void TakeTarget(CLI::App& command, TokenArguments& arguments) {
  command.add_option("--accessor", arguments.accessor, "The token with this accessor");
  command
      .add_option("--target-file", arguments.target_file,
                  "The token in this file; - reads it from standard input")
      ->type_name("FILE");
}

void AddCreate(CLI::App& family, Session& session) {
  CLI::App& create =
      AddCommand(family, "create", "Create a token and show it once",
                 "  kmsctl token create --policy app --ttl 24h\n"
                 "  kmsctl token create --policy ci --uses 1 --output-file ci.token\n"
                 "  TOKEN=$(kmsctl token create --policy app --print-token)\n");
  const auto made = Take(create, session, Create);
  create.add_option("--policy", made->policies, "A policy it has; repeat for more");
  create.add_option("--ttl", made->ttl, "How long it lives, for example 90m")->type_name("TIME");
  create
      .add_option("--explicit-max-ttl", made->explicit_max_ttl, "When it ends whatever renews it")
      ->type_name("TIME");
  create.add_option("--period", made->period, "Lives that long after each renewal; needs sudo")
      ->type_name("TIME");
  create.add_option("--uses", made->uses, "How often it may be used")->check(CLI::PositiveNumber);
  create.add_option("--role", made->role, "Create it through this token role");
  create.add_option("--display-name", made->display_name, "What audit records call it");
  create.add_option("--meta", made->metadata, "KEY=VALUE, shown with it; repeat for more");
  create.add_flag("--orphan", made->orphan, "Does not end with the token that makes it");
  create.add_flag("--batch", made->batch, "Costs the store nothing; cannot be renewed or revoked");
  create.add_flag("--no-default-policy", made->no_default_policy, "Without the policy \"default\"");
  create.add_flag("--not-renewable", made->not_renewable, "Cannot be renewed");
  create.add_flag("--print-token", made->print, "Print the token alone, for scripts");
  create.add_option("--output-file", made->output_file, "Write the token there, mode 0600")
      ->type_name("FILE");
}

void AddOneToken(CLI::App& family, Session& session) {
  CLI::App& lookup = AddCommand(family, "lookup", "Show what a token is; without options your own",
                                "  kmsctl token lookup\n"
                                "  kmsctl token lookup --accessor 0123456789abcdef01234567\n");
  TakeTarget(lookup, *Take(lookup, session, Lookup));

  CLI::App& renew = AddCommand(family, "renew", "Move a token's end; without options your own",
                               "  kmsctl token renew\n  kmsctl token renew --increment 12h\n");
  const auto renewed = Take(renew, session, Renew);
  TakeTarget(renew, *renewed);
  renew.add_option("--increment", renewed->increment, "How long it shall live from now on")
      ->type_name("TIME");

  CLI::App& revoke = AddCommand(family, "revoke", "End a token and all of its children",
                                "  kmsctl token revoke --accessor 0123456789abcdef01234567\n"
                                "  kmsctl token revoke --target-file old.token\n"
                                "  kmsctl token revoke --self\n");
  const auto revoked = Take(revoke, session, Revoke);
  TakeTarget(revoke, *revoked);
  revoke.add_flag("--self", revoked->self, "Your own");
  revoke.add_flag("--spare-children", revoked->orphan, "Its children become orphans; needs sudo");
}

}  // namespace

void AddTokenCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "token", "Tokens: who may call the service, and until when",
                                "  kmsctl token create --policy app --ttl 24h\n"
                                "  kmsctl token lookup\n");
  family.require_subcommand(1);
  AddCreate(family, session);
  AddOneToken(family, session);

  CLI::App& accessors =
      AddCommand(family, "accessors", "List the accessors of all tokens; needs sudo",
                 "  kmsctl token accessors --json | jq length\n");
  Take(accessors, session, Accessors);

  CLI::App& source =
      AddCommand(family, "revoke-source", "End every token of one login source at once; needs sudo",
                 "  kmsctl token revoke-source approle --role ci\n"
                 "  kmsctl token revoke-source userpass --alias alice --yes\n");
  const auto revoked = Take(source, session, RevokeSource);
  source.add_option("MOUNT", revoked->mount, "Path of the auth method")->required();
  source.add_option("--role", revoked->role, "Only those that logged in with this role");
  source.add_option("--alias", revoked->alias, "Only those of this user, role id or subject");
  AddYesOption(source, revoked->yes);

  CLI::App& tidy = AddCommand(family, "tidy", "Delete what is left of tokens that ended",
                              "  kmsctl token tidy\n");
  Take(tidy, session, Tidy);
  AddTokenRoleCommands(family, session);
}

}  // namespace kms::tools
