// SPDX-License-Identifier: Apache-2.0
// kmsctl policy list|read|write|delete|explain|fmt-check, kmsctl capabilities.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/auth/policy.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/secret_input.h"

namespace kms::tools {

namespace {

struct PolicyArguments {
  std::string name;
  std::string file = "-";
  bool yes = false;
};

struct ExplainArguments {
  std::string token;
  std::string method;
  std::string path;
};

struct CapabilityArguments {
  std::vector<std::string> paths;
  std::string accessor;
};

std::string PolicyPath(const std::string& name) {
  return "/v1/sys/policies/acl/" + EncodePath(name);
}

Result<std::string> ReadDocument(const std::string& file) {
  const bool is_standard_input = file == "-";
  const InputSource source{
      .argument = is_standard_input ? std::optional<std::string>(file) : std::nullopt,
      .file = is_standard_input ? std::string() : file};
  const PlaintextBuffer text = KMS_TRY(ReadInput(source));
  return std::string(AsText(text.View()));
}

// ---- documents ----------------------------------------------------------------------------------

Status ListPolicies(Session& session) {
  const std::vector<std::string> names = KMS_TRY(session.List("/v1/sys/policies/acl"));
  if (session.options.json) {
    return Print(ToJsonLine(names) + "\n");
  }
  std::string lines;
  for (const std::string& name : names) {
    lines += Printable(name) + "\n";
  }
  return Print(lines);
}

Status ReadPolicy(Session& session, const PolicyArguments& arguments) {
  const Result<nlohmann::json> answer = session.Call("GET", PolicyPath(arguments.name));
  if (!answer.has_value() && answer.error().code == ErrorCode::kNotFound) {
    return NotFound("there is no policy " + arguments.name + " (list with `kmsctl policy list`)");
  }
  if (!answer.has_value()) {
    return answer.error();
  }
  const nlohmann::json& data = DataOf(*answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  const std::string_view text = TextOf(data, "policy");
  if (arguments.name == "root") {
    Note("the policy root has no text: it may do everything");
  }
  return Print(std::string(text) + (text.empty() || text.ends_with('\n') ? "" : "\n"));
}

Status WritePolicy(Session& session, const PolicyArguments& arguments) {
  const std::string text = KMS_TRY(ReadDocument(arguments.file));
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return InvalidArgument(
        "the document is empty (to take every right away write a comment, or `kmsctl policy "
        "delete`)");
  }
  KMS_TRY(session.Call("PUT", PolicyPath(arguments.name), {{"policy", text}}));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"written", true}}) + "\n");
  }
  return Print("wrote policy " + arguments.name + "; tokens that have it follow it from now on\n");
}

Status DeletePolicy(Session& session, const PolicyArguments& arguments) {
  KMS_TRY(Confirm("Delete policy " + arguments.name +
                      "? Tokens that have it lose what it grants, and what it denies is no longer "
                      "denied.",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", PolicyPath(arguments.name)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"deleted", true}}) + "\n");
  }
  return Print("deleted policy " + arguments.name + "\n");
}

// What parses and yet is hardly what its writer means.
std::vector<std::string> Doubts(const Policy& policy) {
  std::vector<std::string> doubts;
  for (const PolicyStanza& stanza : policy.stanzas) {
    const std::string shown = "path \"" + Printable(stanza.pattern) + "\": ";
    const std::size_t star = stanza.pattern.find('*');
    if (star != std::string::npos && star + 1 < stanza.pattern.size()) {
      doubts.push_back(shown + "* is a wildcard at the end only; + stands for one segment");
    }
    if (stanza.capabilities.empty()) {
      doubts.push_back(shown + "it grants nothing, so it denies");
    }
  }
  return doubts;
}

// Without a server: the same reader that the server has.
Status CheckDocument(const Session& session, const PolicyArguments& arguments) {
  const std::string text = KMS_TRY(ReadDocument(arguments.file));
  const auto policy = ParsePolicy(text);
  const std::string name = arguments.file == "-" ? "standard input" : arguments.file;
  if (!policy.has_value()) {
    return FailedPrecondition(name + ", " + policy.error().public_message +
                              " (correct that line; `kmsctl policy write --help` shows a policy)");
  }
  const std::vector<std::string> doubts = Doubts(**policy);
  if (session.options.json) {
    return Print(
        ToJsonLine({{"valid", true}, {"rules", (*policy)->stanzas.size()}, {"warnings", doubts}}) +
        "\n");
  }
  for (const std::string& doubt : doubts) {
    Note("kmsctl: warning: " + doubt);
  }
  return Print(name + ": valid, " + std::to_string((*policy)->stanzas.size()) + " rules\n");
}

// ---- explanations -------------------------------------------------------------------------------

bool IsServiceToken(std::string_view text) {
  return text.starts_with("hvs.") || text.starts_with("hvb.");
}

std::string Upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

// Asks by accessor, or by token: what has no token's prefix may be either.
Result<nlohmann::json> AskWhy(Session& session, const ExplainArguments& arguments) {
  constexpr const char* kPath = "/v1/sys/policies/explain";
  nlohmann::json question = {{"method", Upper(arguments.method)}, {"path", arguments.path}};
  if (arguments.token == "self") {
    return session.Call("POST", kPath, question);
  }
  if (arguments.token == "-") {
    const PlaintextBuffer token = KMS_TRY(ReadSecretLine("-", {}));
    question["token"] = AsText(token.View());
    return session.Call("POST", kPath, question);
  }
  if (!IsServiceToken(arguments.token)) {
    question["accessor"] = arguments.token;
    Result<nlohmann::json> answer = session.Call("POST", kPath, question);
    const bool unknown = !answer.has_value() && answer.error().public_message.find(
                                                    "invalid accessor") != std::string::npos;
    if (!unknown) {
      return answer;
    }
    question.erase("accessor");
  }
  Note(
      "kmsctl: warning: others on this machine can read a token on the command line; give its "
      "accessor, or - to read it from standard input");
  question["token"] = arguments.token;
  return session.Call("POST", kPath, question);
}

std::string Joined(const nlohmann::json& object, const char* name) {
  std::string joined;
  const auto list = object.find(name);
  if (list != object.end() && list->is_array()) {
    for (const nlohmann::json& item : *list) {
      joined += (joined.empty() ? "" : ", ");
      joined += item.is_string() ? Printable(item.get_ref<const std::string&>()) : "?";
    }
  }
  return joined.empty() ? "-" : joined;
}

std::vector<Field> RuleFields(const nlohmann::json& rule) {
  std::vector<Field> fields = {
      {"decided by", "path \"" + Printable(TextOf(rule, "pattern")) + "\""},
      {"of policies", Joined(rule, "policies")},
      {"which grants", Joined(rule, "capabilities")}};
  for (const char* map : {"allowed_parameters", "denied_parameters"}) {
    const auto parameters = rule.find(map);
    if (parameters == rule.end() || !parameters->is_object()) {
      continue;
    }
    for (const auto& [name, values] : parameters->items()) {
      const std::string shown = values.empty() ? "any value" : Joined(*parameters, name.c_str());
      fields.emplace_back(std::string(map).replace(std::string(map).find('_'), 1, " "),
                          Printable(name) + ": " + shown);
    }
  }
  if (rule.contains("required_parameters")) {
    fields.emplace_back("required parameters", Joined(rule, "required_parameters"));
  }
  if (rule.contains("required_context")) {
    fields.emplace_back("required context", Joined(rule, "required_context"));
  }
  for (const char* bound : {"min_wrapping_ttl", "max_wrapping_ttl"}) {
    if (rule.contains(bound)) {
      fields.emplace_back(bound, Cell(rule, bound) + " s");
    }
  }
  return fields;
}

std::string RenderOthers(const nlohmann::json& data) {
  Table table{{"ALSO MATCHED", "POLICIES", "CAPABILITIES", "WHY IT DID NOT DECIDE"}, {}};
  const auto others = data.find("also_matched");
  if (others == data.end() || !others->is_array()) {
    return {};
  }
  for (const nlohmann::json& other : *others) {
    table.rows.push_back({Cell(other, "pattern"), Joined(other, "policies"),
                          Joined(other, "capabilities"), Cell(other, "why_not")});
  }
  return table.rows.empty() ? std::string() : "\n" + RenderTable(table);
}

Status Explain(Session& session, const ExplainArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(AskWhy(session, arguments));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::vector<Field> fields = {
      {"allowed", Cell(data, "allowed")},
      {"because", Cell(data, "reason")},
      {"path", Cell(data, "path")},
      {"needs", Cell(data, "capability") + (BooleanOf(data, "needs_sudo") ? " and sudo" : "")},
      {"token's policies", Joined(data, "policies")}};
  const auto rule = data.find("rule");
  if (rule != data.end() && rule->is_object()) {
    const std::vector<Field> more = RuleFields(*rule);
    fields.insert(fields.end(), more.begin(), more.end());
  }
  return Print(RenderFields(fields) + RenderOthers(data));
}

// ---- capabilities -------------------------------------------------------------------------------

Status ShowCapabilities(Session& session, const CapabilityArguments& arguments) {
  nlohmann::json question = {{"paths", arguments.paths}};
  std::string path = "/v1/sys/capabilities-self";
  if (!arguments.accessor.empty()) {
    question["accessor"] = arguments.accessor;
    path = "/v1/sys/capabilities-accessor";
  }
  const nlohmann::json answer = KMS_TRY(session.Call("POST", path, question));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  Table table{{"PATH", "CAPABILITIES"}, {}};
  for (const std::string& asked : arguments.paths) {
    table.rows.push_back({Printable(asked), Joined(data, asked.c_str())});
  }
  return Print(RenderTable(table));
}

// ---- the command line ---------------------------------------------------------------------------

using Verb = Status (*)(Session&, const PolicyArguments&);

std::shared_ptr<PolicyArguments> Take(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<PolicyArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

std::shared_ptr<PolicyArguments> TakeName(CLI::App& command, Session& session, Verb verb) {
  auto arguments = Take(command, session, verb);
  command.add_option("NAME", arguments->name, "Name of the policy")->required();
  return arguments;
}

void AddFileArgument(CLI::App& command, PolicyArguments& arguments) {
  command.add_option("FILE", arguments.file, "The document; - or nothing: standard input");
}

void AddDocumentVerbs(CLI::App& family, Session& session) {
  AddCommand(family, "list", "List the names of all policies",
             "  kmsctl policy list\n  kmsctl policy list --json | jq -r '.[]'\n")
      .callback([&session] { session.command = [&session] { return ListPolicies(session); }; });
  TakeName(AddCommand(family, "read", "Print a policy as it was written",
                      "  kmsctl policy read app\n  kmsctl policy read app > app.hcl\n"),
           session, ReadPolicy);
  CLI::App& write = AddCommand(family, "write", "Create or replace a policy, in HCL or JSON",
                               "  kmsctl policy write app app.hcl\n"
                               "  kmsctl policy write app <<'EOF'\n"
                               "  path \"prod/encrypt/app\" {\n"
                               "    capabilities = [\"update\"]\n"
                               "  }\n"
                               "  EOF\n");
  AddFileArgument(write, *TakeName(write, session, WritePolicy));
  CLI::App& remove = AddCommand(family, "delete", "Delete a policy",
                                "  kmsctl policy delete app\n  kmsctl policy delete app --yes\n");
  AddYesOption(remove, TakeName(remove, session, DeletePolicy)->yes);
  CLI::App& check = AddCommand(family, "fmt-check", "Check a document without a server",
                               "  kmsctl policy fmt-check app.hcl\n"
                               "  kmsctl policy fmt-check app.hcl --json | jq .warnings\n");
  AddFileArgument(check, *Take(check, session, [](Session& with, const PolicyArguments& given) {
                    return CheckDocument(with, given);
                  }));
}

void AddExplain(CLI::App& family, Session& session) {
  CLI::App& explain =
      AddCommand(family, "explain", "Say which rule decides about a request, and why",
                 "  kmsctl policy explain self GET prod/keys/app\n"
                 "  kmsctl policy explain hmac-accessor-of-a-token POST prod/decrypt/app\n"
                 "  kmsctl policy explain - LIST prod/keys < token\n");
  auto arguments = std::make_shared<ExplainArguments>();
  explain.add_option("TOKEN", arguments->token, "An accessor, self, or - for a token on stdin")
      ->required();
  explain.add_option("METHOD", arguments->method, "GET, LIST, POST, PUT, DELETE or HEAD")
      ->required();
  explain.add_option("PATH", arguments->path, "Below /v1/, for example prod/encrypt/app")
      ->required();
  explain.callback([&session, arguments] {
    session.command = [&session, arguments] { return Explain(session, *arguments); };
  });
}

}  // namespace

void AddPolicyCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "policy", "Policies: who may do what on which path",
                                "  kmsctl policy list\n  kmsctl policy write app app.hcl\n"
                                "  kmsctl policy explain self GET prod/keys/app\n");
  family.require_subcommand(1);
  AddDocumentVerbs(family, session);
  AddExplain(family, session);

  CLI::App& capabilities = AddCommand(root, "capabilities", "What a token may do on paths",
                                      "  kmsctl capabilities prod/encrypt/app prod/decrypt/app\n"
                                      "  kmsctl capabilities prod/keys/app --accessor ACCESSOR\n");
  auto arguments = std::make_shared<CapabilityArguments>();
  capabilities.add_option("PATH", arguments->paths, "Below /v1/, one or more")->required();
  capabilities.add_option("--accessor", arguments->accessor, "Of this token; default: one's own")
      ->type_name("ACCESSOR");
  capabilities.callback([&session, arguments] {
    session.command = [&session, arguments] { return ShowCapabilities(session, *arguments); };
  });
}

}  // namespace kms::tools
