// SPDX-License-Identifier: Apache-2.0
// kmsctl limits show|set|status|budget …|blocks …: what callers may use, and who was stopped.
#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct LimitsArguments {
  std::string route_class;
  std::string scope = "principal";
  std::string rate;
  std::optional<std::int64_t> burst;
  std::string budget;
  std::string environment = "*";
  std::string key = "*";
  std::string policy = "*";
  std::string actor = "*";
  std::int64_t rows_per_hour = 0;
  bool stop = false;
  std::string address;
  std::string login;
  bool all = false;
  bool yes = false;
};

constexpr const char* kRatePath = "/v1/sys/limits/rate";
constexpr const char* kBudgetsPath = "/v1/sys/limits/budgets";
constexpr const char* kBlocksPath = "/v1/sys/limits/blocks";

std::string BudgetPath(const LimitsArguments& arguments) {
  return std::string(kBudgetsPath) + "/" + EncodePathSegment(arguments.budget);
}

// An array of the answer; empty when it is none.
nlohmann::json ArrayOf(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : nlohmann::json::array();
}

nlohmann::json ObjectOf(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : nlohmann::json::object();
}

// ---- rates
// ---------------------------------------------------------------------------------------

struct Rate {
  std::int64_t requests = 0;
  std::int64_t interval_seconds = 1;
};

// "100/s", "20/m", "3/h", "5/10s", "off".
Result<Rate> ParseRate(const std::string& text) {
  if (text == "off") {
    return Rate{};
  }
  constexpr std::array<std::pair<char, std::int64_t>, 3> kUnits = {
      {{'s', 1}, {'m', 60}, {'h', 3600}}};
  const char* const end = text.data() + text.size();
  Rate rate;
  auto [next, code] = std::from_chars(text.data(), end, rate.requests);
  if (code == std::errc{} && rate.requests > 0 && next != end && *next == '/') {
    std::int64_t units = 1;
    const auto [unit, no_number] = std::from_chars(next + 1, end, units);
    const bool counted = no_number == std::errc{};
    for (const auto& [letter, seconds] : kUnits) {
      if ((counted || unit == next + 1) && unit + 1 == end && *unit == letter && units > 0 &&
          units <= 3600) {
        rate.interval_seconds = units * seconds;
        return rate;
      }
    }
  }
  return InvalidArgument("a rate looks like 100/s, 20/m, 3/h or 5/10s; \"off\" lifts it");
}

std::string RateCell(const nlohmann::json& limit) {
  const std::int64_t seconds = IntegerOf(limit, "interval");
  std::string text = std::to_string(IntegerOf(limit, "rate")) + "/";
  if (seconds == 3600) {
    return text + "h";
  }
  if (seconds == 60) {
    return text + "m";
  }
  return text + (seconds == 1 ? std::string() : std::to_string(seconds)) + "s";
}

Status ShowRates(Session& session, const LimitsArguments& /*arguments*/) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", kRatePath));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  Table table{{"CLASS", "EACH", "RATE", "BURST"}, {}};
  for (const nlohmann::json& limit : ArrayOf(DataOf(answer), "limits")) {
    table.rows.push_back({Cell(limit, "class"), Cell(limit, "scope"), RateCell(limit),
                          std::to_string(IntegerOf(limit, "burst"))});
  }
  if (table.rows.empty()) {
    Note("nothing is limited; see `kmsctl limits set --help`");
    return Ok();
  }
  return Print(RenderTable(table));
}

Status SetRate(Session& session, const LimitsArguments& arguments) {
  const Rate rate = KMS_TRY(ParseRate(arguments.rate));
  nlohmann::json body = {{"class", arguments.route_class},
                         {"scope", arguments.scope},
                         {"rate", rate.requests},
                         {"interval", rate.interval_seconds}};
  if (arguments.burst.has_value()) {
    body["burst"] = *arguments.burst;
  }
  KMS_TRY(session.Call("POST", kRatePath, body));
  if (session.options.json) {
    return Print(ToJsonLine(body) + "\n");
  }
  return Print((rate.requests == 0 ? "lifted the limit on " : "limited ") + arguments.route_class +
               " by " + arguments.scope + "\n");
}

// ---- status
// --------------------------------------------------------------------------------------

Status ShowStatus(Session& session, const LimitsArguments& /*arguments*/) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/limits/status"));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  const nlohmann::json rate = ObjectOf(data, "rate");
  const nlohmann::json refused = ObjectOf(rate, "refused");
  const nlohmann::json budgets = ObjectOf(data, "budgets");
  const nlohmann::json logins = ObjectOf(data, "logins");
  KMS_TRY(Print(RenderFields({
      {"refused by principal", std::to_string(IntegerOf(refused, "principal"))},
      {"refused by address", std::to_string(IntegerOf(refused, "address"))},
      {"refused in total", std::to_string(IntegerOf(refused, "total"))},
      {"budget alarms", std::to_string(IntegerOf(budgets, "alarms"))},
      {"budget stops", std::to_string(IntegerOf(budgets, "stops"))},
      {"logins refused", std::to_string(IntegerOf(logins, "refused"))},
      {"logins blocked now", std::to_string(IntegerOf(logins, "blocked"))},
  })));
  Table top{{"WHO", "CLASS", "ADMITTED", "REFUSED"}, {}};
  for (const nlohmann::json& one : ArrayOf(rate, "top")) {
    top.rows.push_back({Cell(one, "who"), Cell(one, "class"),
                        std::to_string(IntegerOf(one, "admitted")),
                        std::to_string(IntegerOf(one, "refused"))});
  }
  Table used{{"BUDGET", "ACTOR", "KEY", "ROWS", "OF"}, {}};
  for (const nlohmann::json& one : ArrayOf(budgets, "top")) {
    used.rows.push_back(
        {Cell(one, "budget"), Cell(one, "actor"), Cell(one, "environment") + "/" + Cell(one, "key"),
         std::to_string(IntegerOf(one, "rows")), std::to_string(IntegerOf(one, "rows_per_hour"))});
  }
  for (const Table* table : {&top, &used}) {
    if (!table->rows.empty()) {
      KMS_TRY(Print("\n" + RenderTable(*table)));
    }
  }
  return Ok();
}

// ---- budgets
// -------------------------------------------------------------------------------------

std::vector<std::string> BudgetRow(const nlohmann::json& budget) {
  return {Cell(budget, "name"),   std::to_string(IntegerOf(budget, "rows_per_hour")),
          Cell(budget, "action"), Cell(budget, "environment"),
          Cell(budget, "key"),    Cell(budget, "policy"),
          Cell(budget, "actor")};
}

Status ListBudgets(Session& session, const LimitsArguments& /*arguments*/) {
  const std::vector<std::string> names = KMS_TRY(session.List(kBudgetsPath));
  nlohmann::json budgets = nlohmann::json::object();
  if (!names.empty()) {
    const nlohmann::json answer = KMS_TRY(session.Call("LIST", kBudgetsPath));
    budgets = ObjectOf(DataOf(answer), "key_info");
  }
  if (session.options.json) {
    return Print(ToJsonLine(budgets) + "\n");
  }
  if (budgets.empty()) {
    Note("no decryption budgets; see `kmsctl limits budget set --help`");
    return Ok();
  }
  Table table{{"NAME", "ROWS/H", "ACTION", "ENVIRONMENT", "KEY", "POLICY", "ACTOR"}, {}};
  for (const nlohmann::json& budget : budgets) {
    table.rows.push_back(BudgetRow(budget));
  }
  return Print(RenderTable(table));
}

Status ShowBudget(Session& session, const LimitsArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", BudgetPath(arguments)));
  const nlohmann::json& budget = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(budget) + "\n");
  }
  return Print(RenderFields({
      {"name", Cell(budget, "name")},
      {"rows per hour", std::to_string(IntegerOf(budget, "rows_per_hour"))},
      {"action", Cell(budget, "action")},
      {"environment", Cell(budget, "environment")},
      {"key", Cell(budget, "key")},
      {"policy", Cell(budget, "policy")},
      {"actor", Cell(budget, "actor")},
  }));
}

Status SetBudget(Session& session, const LimitsArguments& arguments) {
  const nlohmann::json body = {{"rows_per_hour", arguments.rows_per_hour},
                               {"action", arguments.stop ? "stop" : "alarm"},
                               {"environment", arguments.environment},
                               {"key", arguments.key},
                               {"policy", arguments.policy},
                               {"actor", arguments.actor}};
  KMS_TRY(session.Call("POST", BudgetPath(arguments), body));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.budget}, {"set", true}}) + "\n");
  }
  return Print("set budget " + arguments.budget + "\n");
}

Status DeleteBudget(Session& session, const LimitsArguments& arguments) {
  KMS_TRY(Confirm("Delete budget " + arguments.budget + "? Nothing it watches is bounded any more.",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", BudgetPath(arguments)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.budget}, {"deleted", true}}) + "\n");
  }
  return Print("deleted budget " + arguments.budget + "\n");
}

// ---- blocks
// --------------------------------------------------------------------------------------

Status ListBlocks(Session& session, const LimitsArguments& /*arguments*/) {
  const std::vector<std::string> labels = KMS_TRY(session.List(kBlocksPath));
  nlohmann::json blocks = nlohmann::json::array();
  if (!labels.empty()) {
    const nlohmann::json answer = KMS_TRY(session.Call("LIST", kBlocksPath));
    blocks = ArrayOf(DataOf(answer), "blocks");
  }
  if (session.options.json) {
    return Print(ToJsonLine({{"blocks", blocks}}) + "\n");
  }
  if (blocks.empty()) {
    Note("nobody is blocked");
    return Ok();
  }
  Table table{{"ADDRESS", "LOGIN", "FAILURES", "SECONDS LEFT"}, {}};
  for (const nlohmann::json& block : blocks) {
    table.rows.push_back({Cell(block, "address"), Cell(block, "name"),
                          std::to_string(IntegerOf(block, "failures")),
                          std::to_string(IntegerOf(block, "remaining"))});
  }
  return Print(RenderTable(table));
}

Status ClearBlocks(Session& session, const LimitsArguments& arguments) {
  if (arguments.all != (arguments.address.empty() && arguments.login.empty())) {
    return InvalidArgument("give --address, --login or both, or --all");
  }
  std::string path = std::string(kBlocksPath) + "?";
  if (arguments.all) {
    path += "all=true";
  }
  if (!arguments.address.empty()) {
    path += "address=" + EncodePathSegment(arguments.address);
  }
  if (!arguments.login.empty()) {
    path += (arguments.address.empty() ? "login=" : "&login=") + EncodePathSegment(arguments.login);
  }
  const nlohmann::json answer = KMS_TRY(session.Call("DELETE", path));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  return Print("cleared " + std::to_string(IntegerOf(DataOf(answer), "cleared")) + "\n");
}

// ---- command line
// --------------------------------------------------------------------------------

using Verb = Status (*)(Session&, const LimitsArguments&);

std::shared_ptr<LimitsArguments> Run(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<LimitsArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

void AddRateVerbs(CLI::App& family, Session& session) {
  Run(AddCommand(family, "show", "Show the rate limits", "  kmsctl limits show\n"), session,
      ShowRates);
  Run(AddCommand(family, "status", "Show who uses most and who was refused",
                 "  kmsctl limits status\n"),
      session, ShowStatus);
  CLI::App& set = AddCommand(family, "set", "Set or lift one rate limit",
                             "  kmsctl limits set data 500/s --burst 1000\n"
                             "  kmsctl limits set login 20/m --each address\n"
                             "  kmsctl limits set data off\n");
  const auto arguments = Run(set, session, SetRate);
  set.add_option("CLASS", arguments->route_class,
                 "data (encrypt, decrypt, sign, …), keys, identity, login or system")
      ->required();
  set.add_option("RATE", arguments->rate, "For example 100/s, 20/m, 3/h, 5/10s; \"off\" lifts it")
      ->required();
  set.add_option("--each", arguments->scope,
                 "What has a limit of its own: each principal, each address, or all in total")
      ->type_name("principal|address|total");
  set.add_option("--burst", arguments->burst, "At once after a pause; default: one interval's")
      ->type_name("N");
}

void AddBudgetVerbs(CLI::App& parent, Session& session) {
  CLI::App& family = AddCommand(parent, "budget",
                                "Decryption budgets: ciphertexts that one actor may decrypt with "
                                "one key within an hour",
                                "  kmsctl limits budget list\n");
  family.require_subcommand(1);
  Run(AddCommand(family, "list", "List budgets", "  kmsctl limits budget list\n"), session,
      ListBudgets);
  const auto named = [&](CLI::App& command, Verb verb) {
    const auto arguments = Run(command, session, verb);
    command.add_option("NAME", arguments->budget, "Name of the budget")->required();
    return arguments;
  };
  named(AddCommand(family, "show", "Show one budget", "  kmsctl limits budget show billing\n"),
        ShowBudget);
  CLI::App& set =
      AddCommand(family, "set", "Make or replace a budget",
                 "  kmsctl limits budget set billing --rows 10000 --policy billing\n"
                 "  kmsctl limits budget set prod-cap --rows 100000 --env prod --stop\n");
  const auto budget = named(set, SetBudget);
  set.add_option("--rows", budget->rows_per_hour, "Ciphertexts per hour")
      ->type_name("N")
      ->required();
  set.add_flag("--stop", budget->stop, "Refuse what goes beyond; without it an alarm is raised");
  set.add_option("-e,--env", budget->environment, "Environments, '*' stands for any text")
      ->type_name("PATTERN");
  set.add_option("--key", budget->key, "Keys")->type_name("PATTERN");
  set.add_option("--policy", budget->policy, "Callers with a policy like this")
      ->type_name("PATTERN");
  set.add_option("--actor", budget->actor, "Callers: entity, or accessor of the token")
      ->type_name("PATTERN");
  CLI::App& remove =
      AddCommand(family, "delete", "Delete a budget", "  kmsctl limits budget delete billing\n");
  AddYesOption(remove, named(remove, DeleteBudget)->yes);
}

void AddBlockVerbs(CLI::App& parent, Session& session) {
  CLI::App& family = AddCommand(parent, "blocks", "Who has to wait after failed logins",
                                "  kmsctl limits blocks list\n");
  family.require_subcommand(1);
  Run(AddCommand(family, "list", "List blocks", "  kmsctl limits blocks list\n"), session,
      ListBlocks);
  CLI::App& clear = AddCommand(family, "clear", "Let somebody try again at once",
                               "  kmsctl limits blocks clear --address 192.0.2.1\n"
                               "  kmsctl limits blocks clear --login userpass/alice\n");
  const auto arguments = Run(clear, session, ClearBlocks);
  clear.add_option("--address", arguments->address, "Of this address")->type_name("ADDRESS");
  clear.add_option("--login", arguments->login, "Of this name, with its mount")
      ->type_name("MOUNT/NAME");
  clear.add_flag("--all", arguments->all, "Of everybody");
}

}  // namespace

void AddLimitsCommands(CLI::App& root, Session& session) {
  CLI::App& family =
      AddCommand(root, "limits", "Limits: rates, decryption budgets, blocks after failed logins",
                 "  kmsctl limits show\n  kmsctl limits status\n");
  family.require_subcommand(1);
  AddRateVerbs(family, session);
  AddBudgetVerbs(family, session);
  AddBlockVerbs(family, session);
}

}  // namespace kms::tools
