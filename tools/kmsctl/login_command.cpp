// SPDX-License-Identifier: Apache-2.0
// kmsctl login userpass|approle|jwt|cert, kmsctl logout: gets a token and keeps it in a file of the
// user's own, which every other command finds.
#include <openssl/crypto.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/common/server_address.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/secret_input.h"

namespace kms::tools {
namespace {

constexpr std::size_t kBodyBytes = std::size_t{64} << 10U;

struct LoginArguments {
  std::string mount;
  std::string user;
  std::string role;
  std::string name;
  std::string secret_file;
  std::string passcode_file;
  std::string output_file;
  bool print = false;
};

// Wiped when it goes.
struct TokenText {
  std::string text;
  TokenText() = default;
  explicit TokenText(std::string token) : text(std::move(token)) {}
  TokenText(const TokenText&) = delete;
  TokenText& operator=(const TokenText&) = delete;
  TokenText(TokenText&&) = default;
  TokenText& operator=(TokenText&&) = default;
  ~TokenText() { OPENSSL_cleanse(text.data(), text.size()); }
};

Status SaveToken(const std::string& file, std::string_view token) {
  OutputSink sink = KMS_TRY(OutputSink::Open(file));
  KMS_TRY(sink.Write(AsBytes(token)));
  KMS_TRY(sink.Write(AsBytes("\n")));
  return sink.Commit();
}

std::string TextOf(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Status ShowLogin(const Session& session, const LoginArguments& arguments, nlohmann::json auth,
                 const std::string& file) {
  auth.erase("client_token");
  if (session.options.json) {
    auth["token_file"] = file;
    return Print(ToJsonLine(auth) + "\n");
  }
  std::string policies;
  for (const nlohmann::json& policy : auth.value("policies", nlohmann::json::array())) {
    policies +=
        (policies.empty() ? "" : ", ") + (policy.is_string() ? policy.get<std::string>() : "");
  }
  KMS_TRY(Print(RenderFields({{"accessor", Cell(auth, "accessor")},
                              {"policies", Printable(policies)},
                              {"seconds", Cell(auth, "lease_duration")},
                              {"renewable", Cell(auth, "renewable")}})));
  if (arguments.output_file.empty()) {
    Note("logged in; the token is in " + file + ", where kmsctl looks for it");
  } else {
    Note("logged in; use it with --token-file " + file);
  }
  return Ok();
}

// What a login answered: its token goes where it was asked for.
Status TakeLogin(const Session& session, const LoginArguments& arguments, nlohmann::json answer) {
  nlohmann::json& auth = answer["auth"];
  if (!auth.is_object() || TextOf(auth, "client_token").empty()) {
    return MakeError(ErrorCode::kInternal, "the login was answered without a token");
  }
  const TokenText token(TextOf(auth, "client_token"));
  auto& original = auth["client_token"].get_ref<std::string&>();
  OPENSSL_cleanse(original.data(), original.size());
  if (arguments.print) {
    return WriteStandardOutput(AsBytes(token.text + "\n"));
  }
  const std::string file =
      arguments.output_file.empty() ? DefaultTokenFile() : arguments.output_file;
  if (file.empty()) {
    return InvalidArgument("HOME is not set: say --output-file FILE or --print-token");
  }
  KMS_TRY(SaveToken(file, token.text));
  return ShowLogin(session, arguments, std::move(auth), file);
}

Result<nlohmann::json> Send(Session& session, const std::string& path, const JsonBody& body) {
  session.options.anonymous = true;  // an old token has no say in getting a new one
  return session.CallRaw("POST", path, body.View());
}

std::string MountPath(const LoginArguments& arguments, const char* fallback) {
  return "/v1/auth/" + EncodePath(arguments.mount.empty() ? fallback : arguments.mount);
}

Result<nlohmann::json> SendPassword(Session& session, const std::string& path, ByteView password,
                                    ByteView passcode) {
  JsonBody body(kBodyBytes);
  body.BeginObject();
  body.AddText("password", AsText(password));
  if (!passcode.empty()) {
    body.AddText("passcode", AsText(passcode));
  }
  body.EndObject();
  return Send(session, path, body);
}

Status LoginWithPassword(Session& session, const LoginArguments& arguments) {
  const std::string path =
      MountPath(arguments, "userpass") + "/login/" + EncodePathSegment(arguments.user);
  const PlaintextBuffer password =
      KMS_TRY(ReadSecretLine(arguments.secret_file, "Password for " + arguments.user + ": "));
  PlaintextBuffer passcode;
  if (!arguments.passcode_file.empty()) {
    passcode = KMS_TRY(ReadSecretLine(arguments.passcode_file, ""));
  }
  Result<nlohmann::json> answer = SendPassword(session, path, password.View(), passcode.View());
  const bool wants_passcode =
      !answer && answer.error().public_message.find("passcode required") != std::string::npos;
  if (wants_passcode && passcode.size() == 0 && HasTerminal()) {
    passcode = KMS_TRY(ReadSecretLine("", "One-time code or backup code: "));
    answer = SendPassword(session, path, password.View(), passcode.View());
  }
  if (!answer) {
    return answer.error();
  }
  return TakeLogin(session, arguments, std::move(*answer));
}

Status LoginWithSecretId(Session& session, const LoginArguments& arguments) {
  JsonBody body(kBodyBytes);
  body.BeginObject();
  body.AddText("role_id", arguments.role);
  const PlaintextBuffer secret = KMS_TRY(ReadSecretLine(arguments.secret_file, "Secret ID: "));
  body.AddText("secret_id", AsText(secret.View()));
  body.EndObject();
  const std::string path = MountPath(arguments, "approle") + "/login";
  return TakeLogin(session, arguments, KMS_TRY(Send(session, path, body)));
}

Status LoginWithJwt(Session& session, const LoginArguments& arguments) {
  JsonBody body(kBodyBytes);
  body.BeginObject();
  if (!arguments.role.empty()) {
    body.AddText("role", arguments.role);
  }
  const PlaintextBuffer jwt = KMS_TRY(ReadInput({.argument = {}, .file = arguments.secret_file}));
  std::string_view text = AsText(jwt.View());
  while (text.ends_with('\n') || text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  body.AddText("jwt", text);
  body.EndObject();
  const std::string path = MountPath(arguments, "jwt") + "/login";
  return TakeLogin(session, arguments, KMS_TRY(Send(session, path, body)));
}

Status LoginWithCertificate(Session& session, const LoginArguments& arguments) {
  JsonBody body(kBodyBytes);
  body.BeginObject();
  if (!arguments.name.empty()) {
    body.AddText("name", arguments.name);
  }
  body.EndObject();
  const std::string path = MountPath(arguments, "cert") + "/login";
  return TakeLogin(session, arguments, KMS_TRY(Send(session, path, body)));
}

Status Logout(Session& session) {
  const Result<nlohmann::json> revoked = session.Call("POST", "/v1/auth/token/revoke-self");
  const bool was_dead = !revoked && revoked.error().code == ErrorCode::kPermissionDenied;
  if (!revoked && !was_dead) {
    return revoked.error();
  }
  const std::string file = DefaultTokenFile();
  if (!file.empty() && ::unlink(file.c_str()) != 0 && errno != ENOENT) {
    return MakeError(ErrorCode::kInternal, "the token is revoked, but " + file +
                                               " cannot be removed: " + std::strerror(errno));
  }
  Note(was_dead ? "the token was not good any more" : "the token is revoked");
  return Ok();
}

using LoginCommand = Status (*)(Session& session, const LoginArguments& arguments);

std::shared_ptr<LoginArguments> AddLogin(CLI::App& command, Session& session, LoginCommand run) {
  auto arguments = std::make_shared<LoginArguments>();
  command
      .add_option("--mount", arguments->mount, "Where the method is enabled, if not at its name")
      ->type_name("PATH");
  auto* print = command.add_flag("--print-token", arguments->print,
                                 "Print the token and nothing else, keep it nowhere");
  command
      .add_option("--output-file", arguments->output_file,
                  "Keep the token in this file (mode 0600); default ~/.kms-token")
      ->type_name("FILE")
      ->excludes(print);
  command.callback([&session, arguments, run] {
    session.command = [&session, arguments, run] { return run(session, *arguments); };
  });
  return arguments;
}

void AddPasswordLogin(CLI::App& login, Session& session) {
  CLI::App& command = AddCommand(login, "userpass", "With user name, password and one-time code",
                                 "  kmsctl login userpass --user alice\n"
                                 "  kmsctl login userpass --user alice --password-file - < file\n");
  const auto arguments = AddLogin(command, session, LoginWithPassword);
  command.add_option("-u,--user", arguments->user, "User name")->type_name("NAME")->required();
  command
      .add_option("--password-file", arguments->secret_file,
                  "First line is the password; - is standard input; default: ask")
      ->type_name("FILE");
  command
      .add_option("--passcode-file", arguments->passcode_file,
                  "First line is the one-time code; default: ask when it is needed")
      ->type_name("FILE");
}

void AddAppRoleLogin(CLI::App& login, Session& session) {
  CLI::App& command =
      AddCommand(login, "approle", "As a program: role ID and secret ID",
                 "  kmsctl login approle --role-id 5f1c… --secret-id-file /run/secret-id\n");
  const auto arguments = AddLogin(command, session, LoginWithSecretId);
  command.add_option("--role-id", arguments->role, "The role's ID")->type_name("ID")->required();
  command
      .add_option("--secret-id-file", arguments->secret_file,
                  "First line is the secret ID; - is standard input; default: ask")
      ->type_name("FILE");
}

void AddJwtLogin(CLI::App& login, Session& session) {
  CLI::App& command = AddCommand(login, "jwt", "With a signed token of an identity provider",
                                 "  kmsctl login jwt --role ci --jwt-file token.jwt\n"
                                 "  get-token | kmsctl login jwt --role ci\n");
  const auto arguments = AddLogin(command, session, LoginWithJwt);
  command.add_option("--role", arguments->role, "Role; default: the mount's")->type_name("NAME");
  command.add_option("--jwt-file", arguments->secret_file, "The JWT; default: standard input")
      ->type_name("FILE");
}

void AddCertificateLogin(CLI::App& login, Session& session) {
  CLI::App& command =
      AddCommand(login, "cert", "With the client certificate of the connection",
                 "  kmsctl login cert --client-cert app.pem --client-key app.key\n");
  const auto arguments = AddLogin(command, session, LoginWithCertificate);
  command.add_option("--name", arguments->name, "Entry to hold it against; default: all")
      ->type_name("NAME");
}

}  // namespace

void AddLoginCommands(CLI::App& root, Session& session) {
  CLI::App& login = *root.add_subcommand("login", "Get a token and keep it for later commands");
  login.require_subcommand(1);
  login.fallthrough();
  AddPasswordLogin(login, session);
  AddAppRoleLogin(login, session);
  AddJwtLogin(login, session);
  AddCertificateLogin(login, session);
  AddCommand(root, "logout", "Revoke the token and forget it", "  kmsctl logout\n")
      .callback([&session] { session.command = [&session] { return Logout(session); }; });
}

}  // namespace kms::tools
