// SPDX-License-Identifier: Apache-2.0
// kmsctl hsm list|show|add|remove|reload: the tokens of the service and which environments they
// open.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/hsm_cells.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr std::chrono::milliseconds kPollInterval{200};

struct HsmArguments {
  std::string hsm;
  std::vector<std::string> environments;
  bool all = false;
  std::int64_t order = 0;
  std::int64_t weight = 1;
  bool wait = false;
  int wait_seconds = 60;
  bool destroy = false;
  bool lost = false;
  std::string reason;
  bool dry_run = false;
  bool yes = false;
};

std::string HsmPath(const std::string& hsm) { return "/v1/sys/hsm/" + EncodePathSegment(hsm); }

std::string MembersPath(const std::string& environment) {
  return "/v1/sys/environments/" + EncodePath(environment) + "/hsms";
}

// ---- reload
// ---------------------------------------------------------------------------------------

Result<nlohmann::json> Reload(Session& session, bool dry_run) {
  const nlohmann::json body = {{"dry_run", dry_run}};
  const nlohmann::json answer = KMS_TRY(session.Call("POST", "/v1/sys/hsm/reload", body));
  return DataOf(answer);
}

Status ReloadHsms(Session& session, const HsmArguments& arguments) {
  const nlohmann::json changes = KMS_TRY(Reload(session, arguments.dry_run));
  if (session.options.json) {
    return Print(ToJsonLine(changes) + "\n");
  }
  std::string text;
  for (const char* what : {"added", "removed", "changed", "restarted"}) {
    if (!ArrayMember(changes, what).empty()) {
      text += std::string(arguments.dry_run ? "would be " : "") + what + ": " +
              NamesCell(changes, what) + "\n";
    }
  }
  return Print(text.empty() ? "nothing differs from the configuration\n" : text);
}

// ---- add, remove
// ----------------------------------------------------------------------------------

class Patience {
 public:
  explicit Patience(int seconds)
      : end_(std::chrono::steady_clock::now() + std::chrono::seconds(seconds)) {}
  // Pauses a little; false when the time is over.
  [[nodiscard]] bool Pause() const {
    if (std::chrono::steady_clock::now() >= end_) {
      return false;
    }
    std::this_thread::sleep_for(kPollInterval);
    return true;
  }

 private:
  std::chrono::steady_clock::time_point end_;
};

// Says a thing once, until it changes.
class Progress {
 public:
  void Say(const std::string& text) {
    if (text != last_) {
      Note(text);
      last_ = text;
    }
  }

 private:
  std::string last_;
};

Status AwaitServing(Session& session, const HsmArguments& arguments) {
  const Patience patience(arguments.wait_seconds);
  Progress progress;
  for (;;) {
    const nlohmann::json answer = KMS_TRY(session.Call("GET", HsmPath(arguments.hsm)));
    const std::string state = Cell(DataOf(answer), "state");
    const bool is_left_alone = IntegerOf(DataOf(answer), "retry_in_ms") > 0;
    if (state == "ready" && !is_left_alone) {
      return Ok();
    }
    const std::string text =
        "HSM " + arguments.hsm + " is " + state + " (" + Cell(DataOf(answer), "reason") + ")";
    if (state == "absent") {
      return NotFound(text +
                      ": add it under \"hsms\" in the file that kmsd reads, and repeat this");
    }
    if (state != "down" && !is_left_alone) {  // waiting does not help
      return FailedPrecondition(text + ": an operator must act");
    }
    progress.Say(text + ": waiting");
    if (!patience.Pause()) {
      return Unavailable(text + "; repeat this when it serves");
    }
  }
}

// The member of that name in the lease's answer; null when there is none.
nlohmann::json FindMember(const nlohmann::json& lease, const std::string& hsm) {
  for (const nlohmann::json& member : ArrayMember(lease, "members")) {
    if (TextOf(member, "hsm") == hsm) {
      return member;
    }
  }
  return nullptr;
}

Result<nlohmann::json> AwaitHealed(Session& session, const HsmArguments& arguments,
                                   const std::string& environment) {
  const Patience patience(arguments.wait_seconds);
  const std::string path = "/v1/sys/environments/" + EncodePath(environment) + "/lease";
  Progress progress;
  for (;;) {
    const nlohmann::json answer = KMS_TRY(session.Call("GET", path));
    nlohmann::json member = FindMember(DataOf(answer), arguments.hsm);
    const std::string state = Cell(member, "state");
    const std::string text = environment + ": HSM " + arguments.hsm + " is " + state + ", " +
                             Cell(member, "missing_wraps") + " wraps missing";
    if (state == "ready" && IntegerOf(member, "missing_wraps") == 0) {
      progress.Say(environment + ": HSM " + arguments.hsm + " is ready");
      return member;
    }
    if (state == "refused") {
      return FailedPrecondition(text + ": " + Cell(member, "reason"));
    }
    progress.Say(text);
    if (!patience.Pause()) {
      return Unavailable(text + " (" + Cell(member, "reason") + "); `kmsctl env lease " +
                         environment + "` shows more");
    }
  }
}

Result<std::vector<std::string>> AllEnvironments(Session& session) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/environments/status"));
  std::vector<std::string> names;
  for (const nlohmann::json& environment : ArrayMember(DataOf(answer), "environments")) {
    names.emplace_back(TextOf(environment, "name"));
  }
  return names;
}

// Those that the token serves.
Result<std::vector<std::string>> EnvironmentsOf(Session& session, const std::string& hsm) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", HsmPath(hsm)));
  std::vector<std::string> names;
  for (const nlohmann::json& part : ArrayMember(DataOf(answer), "environments")) {
    names.emplace_back(TextOf(part, "name"));
  }
  return names;
}

Status RequireTarget(const HsmArguments& arguments) {
  if (arguments.all == arguments.environments.empty()) {
    return Ok();
  }
  return InvalidArgument(
      "say where: --env NAME (may be repeated), or --all for every environment "
      "and sys");
}

Status AddHsm(Session& session, const HsmArguments& arguments) {
  KMS_TRY(RequireTarget(arguments));
  KMS_TRY(Reload(session, false));
  KMS_TRY(AwaitServing(session, arguments));
  const std::vector<std::string> names =
      arguments.all ? KMS_TRY(AllEnvironments(session)) : arguments.environments;
  nlohmann::json joined = nlohmann::json::array();
  for (const std::string& name : names) {
    const nlohmann::json body = {
        {"hsm", arguments.hsm}, {"order", arguments.order}, {"weight", arguments.weight}};
    const nlohmann::json answer = KMS_TRY(session.Call("POST", MembersPath(name), body));
    nlohmann::json member = DataOf(answer);
    if (arguments.wait) {
      member = KMS_TRY(AwaitHealed(session, arguments, name));
    }
    if (!session.options.json) {
      KMS_TRY(Print("HSM " + arguments.hsm + " opens " + name + "\n"));
    }
    joined.push_back({{"name", name}, {"state", Cell(member, "state")}});
  }
  return session.options.json
             ? Print(ToJsonLine({{"hsm", arguments.hsm}, {"environments", joined}}) + "\n")
             : Ok();
}

// Declares it lost in each environment; those that it holds nothing of are passed over with --all,
// and those that refuse are told of at the end.
Result<std::vector<std::string>> DeclareLost(Session& session, const HsmArguments& arguments,
                                             const std::vector<std::string>& names) {
  std::string query = "?lost=true";
  if (!arguments.reason.empty()) {
    query += "&reason=" + EncodePathSegment(arguments.reason);
  }
  std::vector<std::string> done;
  std::optional<Error> refusal;
  for (const std::string& name : names) {
    const auto answer =
        session.Call("DELETE", MembersPath(name) + "/" + EncodePathSegment(arguments.hsm) + query);
    if (!answer.has_value() && arguments.all && answer.error().code == ErrorCode::kNotFound) {
      continue;
    }
    if (!answer.has_value() && arguments.all) {
      refusal = answer.error();
      refusal->public_message = "HSM " + arguments.hsm + " is not declared lost to " + name + ": " +
                                refusal->public_message;
      Note(refusal->public_message);
      continue;
    }
    KMS_TRY(answer);
    done.push_back(name);
    if (!session.options.json) {
      KMS_TRY(Print("HSM " + arguments.hsm + " is lost to " + name + "\n"));
    }
  }
  if (refusal) {
    return *refusal;
  }
  if (done.empty()) {
    return NotFound("HSM " + arguments.hsm + " holds nothing of any environment");
  }
  return done;
}

Status LoseHsm(Session& session, const HsmArguments& arguments) {
  KMS_TRY(RequireTarget(arguments));
  if (arguments.destroy) {
    return InvalidArgument("what is lost cannot be destroyed: give --lost or --destroy");
  }
  const std::vector<std::string> names =
      arguments.all ? KMS_TRY(AllEnvironments(session)) : arguments.environments;
  KMS_TRY(Confirm("Declare HSM " + arguments.hsm + " lost for ever in " +
                      (arguments.all ? "every environment" : "the environments named") +
                      "? The master keys in it stay undestroyed, and statements of their "
                      "retirement will say so.",
                  arguments.yes));
  const std::vector<std::string> done = KMS_TRY(DeclareLost(session, arguments, names));
  if (session.options.json) {
    return Print(
        ToJsonLine({{"hsm", arguments.hsm}, {"environments", done}, {"lost", true}}) + "\n");
  }
  Note("if the token may be in somebody's hands: kmsctl master rotate, then kmsctl master retire");
  return Ok();
}

Status RemoveHsm(Session& session, const HsmArguments& arguments) {
  if (arguments.lost) {
    return LoseHsm(session, arguments);
  }
  if (!arguments.reason.empty()) {
    return InvalidArgument("--reason goes with --lost");
  }
  KMS_TRY(RequireTarget(arguments));
  const std::vector<std::string> names =
      arguments.all ? KMS_TRY(EnvironmentsOf(session, arguments.hsm)) : arguments.environments;
  KMS_TRY(Confirm("Take HSM " + arguments.hsm + " out of " + std::to_string(names.size()) +
                      " environments?" +
                      (arguments.destroy ? " Their master keys in it are destroyed." : ""),
                  arguments.yes, arguments.destroy ? Undo::kImpossible : Undo::kPossible));
  const std::string query = arguments.destroy ? "?destroy=true" : "";
  for (const std::string& name : names) {
    KMS_TRY(
        session.Call("DELETE", MembersPath(name) + "/" + EncodePathSegment(arguments.hsm) + query));
    if (!session.options.json) {
      KMS_TRY(Print("HSM " + arguments.hsm + " no longer opens " + name + "\n"));
    }
  }
  return session.options.json ? Print(ToJsonLine({{"hsm", arguments.hsm},
                                                  {"environments", names},
                                                  {"destroyed", arguments.destroy}}) +
                                      "\n")
                              : Ok();
}

// ---- the command line
// -----------------------------------------------------------------------------

using Verb = Status (*)(Session&, const HsmArguments&);

std::shared_ptr<HsmArguments> Bind(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<HsmArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

std::shared_ptr<HsmArguments> BindName(CLI::App& command, Session& session, Verb verb) {
  auto arguments = Bind(command, session, verb);
  command.add_option("NAME", arguments->hsm, "Name of the token in the configuration")->required();
  return arguments;
}

void AddTargetOptions(CLI::App& command, HsmArguments& arguments) {
  command.add_option("-e,--env", arguments.environments, "Environment; may be repeated")
      ->type_name("NAME");
  command.add_flag("--all", arguments.all, "Every environment, and sys");
}

void AddAddCommand(CLI::App& family, Session& session) {
  CLI::App& add =
      AddCommand(family, "add", "Let a token of the configuration open environments too",
                 "  kmsctl hsm add vault-2 --env prod --wait\n"
                 "  kmsctl hsm add vault-2 --all --order 1 --wait\n");
  const auto added = BindName(add, session, AddHsm);
  AddTargetOptions(add, *added);
  add.add_option("--order", added->order, "Lower ones are asked first; 0 is the default");
  add.add_option("--weight", added->weight, "Among those of one order: how often, 1 to 1000");
  add.add_flag("--wait", added->wait, "Return when it opens every key of the environment");
  add.add_option("--wait-timeout", added->wait_seconds, "How long at most, for each step")
      ->type_name("SECONDS")
      ->capture_default_str();
}

void AddRemoveCommand(CLI::App& family, Session& session) {
  CLI::App& remove = AddCommand(family, "remove",
                                "Take a token out of environments; refused for the last that opens "
                                "something",
                                "  kmsctl hsm remove old --env prod\n"
                                "  kmsctl hsm remove old --all --destroy --yes\n"
                                "  kmsctl hsm remove burnt --all --lost --reason 'fire in B'\n");
  const auto removed = BindName(remove, session, RemoveHsm);
  AddTargetOptions(remove, *removed);
  remove.add_flag("--destroy", removed->destroy, "Destroy their master keys in the token too");
  remove.add_flag("--lost", removed->lost,
                  "It will never come back: nothing waits for it any more, and what is in it "
                  "counts as not destroyed");
  remove.add_option("--reason", removed->reason, "With --lost: why, for the records")
      ->type_name("TEXT");
  AddYesOption(remove, removed->yes);
}

}  // namespace

void AddHsmGroupCommands(CLI::App& family, Session& session) {
  AddAddCommand(family, session);
  AddRemoveCommand(family, session);
  CLI::App& reload =
      AddCommand(family, "reload", "Read the tokens of kmsd's configuration file again",
                 "  kmsctl hsm reload --dry-run\n  kmsctl hsm reload\n");
  const auto reloaded = Bind(reload, session, ReloadHsms);
  reload.add_flag("--dry-run", reloaded->dry_run, "Only say what would change");
}

}  // namespace kms::tools
