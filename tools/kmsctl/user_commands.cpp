// SPDX-License-Identifier: Apache-2.0
// kmsctl user create|list|read|delete|password|totp: people who log in with a password.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/login_method.h"
#include "tools/kmsctl/secret_input.h"

namespace kms::tools {

namespace {

constexpr std::size_t kBodyBytes = std::size_t{16} << 10U;

struct UserArguments {
  std::string mount;
  std::string name;
  std::string secret_file;
  TokenSettings token;
  bool yes = false;
};

std::string UserPath(const UserArguments& arguments, const std::string& rest = {}) {
  return AuthPath(arguments.mount, "users/" + EncodePathSegment(arguments.name) + rest);
}

// From the file, or typed twice.
Result<PlaintextBuffer> NewPassword(const UserArguments& arguments) {
  PlaintextBuffer password =
      KMS_TRY(ReadSecretLine(arguments.secret_file, "New password for " + arguments.name + ": "));
  if (!arguments.secret_file.empty()) {
    return password;
  }
  const PlaintextBuffer again = KMS_TRY(ReadSecretLine("", "The same again: "));
  if (!EqualInConstantTime(password.View(), again.View())) {
    return InvalidArgument("the two are not the same: nothing was changed");
  }
  return password;
}

// One member that is secret, sent without being copied unwiped.
Status SendSecret(Session& session, const std::string& path, std::string_view member,
                  const PlaintextBuffer& secret) {
  JsonBody body(kBodyBytes);
  body.BeginObject();
  body.AddText(member, AsText(secret.View()));
  body.EndObject();
  KMS_TRY(session.CallRaw("POST", path, body.View()));
  return Ok();
}

// The settings are written with the password, so that nobody can log in half made.
Status CreateUser(Session& session, const UserArguments& arguments) {
  const PlaintextBuffer password = KMS_TRY(NewPassword(arguments));
  nlohmann::json settings = nlohmann::json::object();
  PutTokenSettings(arguments.token, settings);
  JsonBody body(kBodyBytes);
  body.BeginObject();
  body.AddText("password", AsText(password.View()));
  for (const auto& [member, value] : settings.items()) {
    if (value.is_array()) {  // lists may as well be one text with commas
      std::string text;
      for (const nlohmann::json& item : value) {
        text += (text.empty() ? "" : ",") + item.get<std::string>();
      }
      body.AddText(member, text);
    } else {
      body.AddText(member, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  body.EndObject();
  KMS_TRY(session.CallRaw("POST", UserPath(arguments), body.View()));
  return PrintDone(session, "created", "user", arguments.name);
}

Status ListUsers(Session& session, const UserArguments& arguments) {
  const std::vector<std::string> names = KMS_TRY(session.List(AuthPath(arguments.mount, "users")));
  return PrintNames(session, names, "no users; make one with `kmsctl user create NAME`");
}

Status ReadUser(Session& session, const UserArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", UserPath(arguments)));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::vector<Field> fields = {{"name", Printable(arguments.name)}};
  AppendTokenSettings(data, fields);
  fields.emplace_back("second factor", Cell(data, "totp_enabled"));
  fields.emplace_back("backup codes", Cell(data, "backup_codes_left"));
  return Print(RenderFields(fields));
}

Status DeleteUser(Session& session, const UserArguments& arguments) {
  KMS_TRY(Confirm("Delete user " + arguments.name + " and revoke the tokens of every login?",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", UserPath(arguments)));
  return PrintDone(session, "deleted", "user", arguments.name);
}

Status SetPassword(Session& session, const UserArguments& arguments) {
  const PlaintextBuffer password = KMS_TRY(NewPassword(arguments));
  KMS_TRY(SendSecret(session, UserPath(arguments, "/password"), "password", password));
  return PrintDone(session, "changed", "password of user", arguments.name);
}

// What is shown here is shown by nothing else ever again.
Status EnableTotp(Session& session, const UserArguments& arguments) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", UserPath(arguments, "/totp"), nlohmann::json::object()));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::string text = RenderFields({{"secret", Cell(data, "secret")}, {"url", Cell(data, "url")}});
  text += "backup codes, each good for one login:\n";
  for (const nlohmann::json& code : data.value("backup_codes", nlohmann::json::array())) {
    text += "  " + (code.is_string() ? Printable(code.get_ref<const std::string&>()) : "") + "\n";
  }
  KMS_TRY(Print(text));
  Note("this is shown once. It is asked for at login only after\n  kmsctl user totp confirm " +
       Printable(arguments.name));
  return Ok();
}

Status ConfirmTotp(Session& session, const UserArguments& arguments) {
  const PlaintextBuffer passcode =
      KMS_TRY(ReadSecretLine(arguments.secret_file, "Code that the authenticator shows: "));
  KMS_TRY(SendSecret(session, UserPath(arguments, "/totp/confirm"), "passcode", passcode));
  return PrintDone(session, "confirmed", "second factor of user", arguments.name);
}

Status DisableTotp(Session& session, const UserArguments& arguments) {
  KMS_TRY(
      Confirm("Let user " + arguments.name + " log in with the password alone?", arguments.yes));
  KMS_TRY(session.Call("DELETE", UserPath(arguments, "/totp")));
  return PrintDone(session, "disabled", "second factor of user", arguments.name);
}

using Verb = Status (*)(Session&, const UserArguments&);

std::shared_ptr<UserArguments> AddUserVerb(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<UserArguments>();
  command.add_option("NAME", arguments->name, "Name of the user")->required();
  AddMountOption(command, arguments->mount, "userpass");
  OnParse(command, session, arguments, verb);
  return arguments;
}

void AddSecretOption(CLI::App& command, const char* name, const char* what, std::string& file) {
  command
      .add_option(name, file,
                  std::string("First line is the ") + what + "; - is standard input; default: ask")
      ->type_name("FILE");
}

void AddTotpCommands(CLI::App& family, Session& session) {
  CLI::App& totp = AddCommand(family, "totp", "One-time codes as second factor",
                              "  kmsctl user totp enable alice\n"
                              "  kmsctl user totp confirm alice\n");
  totp.require_subcommand(1);
  CLI::App& enable =
      AddCommand(totp, "enable", "Make a secret for an authenticator, and backup codes",
                 "  kmsctl user totp enable alice\n"
                 "  kmsctl user totp enable alice --json | jq -r .url | qrencode "
                 "-t utf8\n");
  AddUserVerb(enable, session, EnableTotp);
  CLI::App& confirm = AddCommand(totp, "confirm", "Prove that the authenticator is set up",
                                 "  kmsctl user totp confirm alice\n");
  const auto confirmed = AddUserVerb(confirm, session, ConfirmTotp);
  AddSecretOption(confirm, "--passcode-file", "code", confirmed->secret_file);
  CLI::App& disable = AddCommand(totp, "disable", "Ask for the password alone again",
                                 "  kmsctl user totp disable alice\n");
  const auto disabled = AddUserVerb(disable, session, DisableTotp);
  AddYesOption(disable, disabled->yes);
}

}  // namespace

void AddUserCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "user", "People who log in with a password",
                                "  kmsctl user create alice --policy operators\n"
                                "  kmsctl user list\n");
  family.require_subcommand(1);

  CLI::App& create = AddCommand(family, "create", "Create a user, or set the password and settings of one",
                                "  kmsctl user create alice --policy operators --ttl 8h\n"
                                "  kmsctl user create alice --password-file - < file\n");
  const auto created = AddUserVerb(create, session, CreateUser);
  AddSecretOption(create, "--password-file", "password", created->secret_file);
  AddTokenSettings(create, created->token);

  CLI::App& list = AddCommand(family, "list", "List users", "  kmsctl user list\n");
  auto listed = std::make_shared<UserArguments>();
  AddMountOption(list, listed->mount, "userpass");
  OnParse(list, session, listed, ListUsers);

  AddUserVerb(AddCommand(family, "read", "Show a user", "  kmsctl user read alice\n"), session,
              ReadUser);

  CLI::App& remove = AddCommand(family, "delete", "Delete a user and revoke all tokens of logins",
                                "  kmsctl user delete alice --yes\n");
  const auto removed = AddUserVerb(remove, session, DeleteUser);
  AddYesOption(remove, removed->yes);

  CLI::App& password =
      AddCommand(family, "password", "Set a user's password", "  kmsctl user password alice\n");
  const auto changed = AddUserVerb(password, session, SetPassword);
  AddSecretOption(password, "--password-file", "password", changed->secret_file);

  AddTotpCommands(family, session);
}

}  // namespace kms::tools
