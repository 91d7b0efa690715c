// SPDX-License-Identifier: Apache-2.0
// kmsctl key backup and restore-backup: a whole key, every version of it, as one file.
#include <openssl/crypto.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct BackupArguments {
  std::string environment;
  std::string name;
  std::string output_file;
};

struct RestoreArguments {
  std::string environment;
  std::string name;  // empty: the one in the backup
  std::string input_file;
  bool force = false;
  bool yes = false;
};

Status BackUp(Session& session, const BackupArguments& arguments) {
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  nlohmann::json answer = KMS_TRY(session.Call(
      "GET",
      EnvironmentPath(arguments.environment, "backup/" + EncodePathSegment(arguments.name))));
  nlohmann::json& blob = answer["data"]["backup"];
  if (!blob.is_string()) {
    return MakeError(ErrorCode::kInternal, "the server answered without a backup");
  }
  if (sink.is_terminal()) {
    Note("kmsctl: warning: this is the key itself, and the terminal keeps it; use --out FILE");
  }
  std::string& text = blob.get_ref<std::string&>();
  Status written = sink.Write(AsBytes(text));
  OPENSSL_cleanse(text.data(), text.size());
  KMS_TRY(std::move(written));
  KMS_TRY(sink.Write(AsBytes("\n")));
  return sink.Commit();
}

Status RestoreBackup(Session& session, const RestoreArguments& arguments) {
  if (arguments.force) {
    KMS_TRY(Confirm("Replace a key of that name in " + arguments.environment +
                        " if there is one? What only that one encrypted is lost.",
                    arguments.yes));
  }
  const PlaintextBuffer input =
      KMS_TRY(ReadInput({.argument = std::nullopt, .file = arguments.input_file}));
  std::string_view blob = AsText(input.View());
  while (blob.ends_with('\n') || blob.ends_with('\r')) {
    blob.remove_suffix(1);
  }
  JsonBody body(blob.size() + 64);
  body.BeginObject();
  body.AddText("backup", blob);
  if (arguments.force) {
    body.AddText("force", "true");
  }
  body.EndObject();
  const std::string name =
      arguments.name.empty() ? std::string() : "/" + EncodePathSegment(arguments.name);
  KMS_TRY(session.CallRaw("POST", EnvironmentPath(arguments.environment, "restore" + name),
                          body.View()));
  if (session.options.json) {
    return Print(ToJsonLine({{"restored", true}}) + "\n");
  }
  return Print("restored into " + arguments.environment + "\n");
}

}  // namespace

void AddKeyBackup(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(
      family, "backup", "Write a key with all its versions; Vault and OpenBao restore it too",
      "  kmsctl key config orders --exportable --allow-plaintext-backup\n"
      "  kmsctl key backup orders --out orders.backup\n");
  auto arguments = std::make_shared<BackupArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->name, "Name of the key")->required();
  command.add_option("-o,--out", arguments->output_file, "Write to this file, for you alone")
      ->type_name("FILE");
  OnParse(command, session, arguments, BackUp);
}

void AddKeyRestoreBackup(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(
      family, "restore-backup", "Bring a key back from a backup, also one of Vault or OpenBao",
      "  kmsctl key restore-backup --in orders.backup -e prod\n"
      "  kmsctl key restore-backup orders-2025 --in orders.backup\n");
  auto arguments = std::make_shared<RestoreArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->name, "Its name here; default: the one it had");
  command.add_option("-i,--in", arguments->input_file, "Read from this file; default: stdin")
      ->type_name("FILE");
  command.add_flag("--force", arguments->force, "Replace a key of that name");
  AddYesOption(command, arguments->yes);
  OnParse(command, session, arguments, RestoreBackup);
}

}  // namespace kms::tools
