// SPDX-License-Identifier: Apache-2.0
// kmsctl backup create|list|forget|check: the whole store as one file.
#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "kms/crypto/backup_envelope.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct BackupArguments {
  std::string output_file;
  std::string keep = "90d";
  std::string id;
  std::string input_file;
  bool offline = false;
  bool yes = false;
};

constexpr const char* kBackupsPath = "/v1/sys/backups";

Error Damaged(std::string_view why) {
  return Corrupted("the backup is damaged: " + std::string(why));
}

// The head of a backup whose contents match their checksum.
Result<ByteView> ProvenHead(ByteView file) {
  if (file.size() < kBackupFixedBytes) {
    return Damaged("it is truncated");
  }
  const std::size_t size = KMS_TRY(BackupHeadBytes(file.first(kBackupFixedBytes)));
  if (file.size() < size) {
    return Damaged("it is truncated");
  }
  const BackupEnvelope envelope = KMS_TRY(DecodeBackupHead(file.first(size)));
  const ByteView content = file.subspan(size);
  if (content.size() != envelope.content_bytes) {
    return Damaged(content.size() < envelope.content_bytes ? "it is truncated"
                                                           : "something follows its end");
  }
  if (Sha256(content) != envelope.content_sha256) {
    return Damaged("its contents do not match their checksum");
  }
  return file.first(size);
}

// What the service says of it, who alone can tell whether it is genuine.
Result<nlohmann::json> AskService(Session& session, ByteView head) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", "/v1/sys/backup/check", {{"head", Base64Encode(head)}}));
  return DataOf(answer);
}

std::vector<Field> FieldsOf(const nlohmann::json& backup) {
  std::vector<Field> fields = {
      {"id", Cell(backup, "id")},
      {"created", TimeCell(IntegerOf(backup, "created"))},
      {"expires", TimeCell(IntegerOf(backup, "expires"))},
      {"revision", std::to_string(IntegerOf(backup, "revision"))},
      {"epoch", std::to_string(IntegerOf(backup, "epoch"))},
  };
  const auto keys = backup.find("master_keys");
  if (keys != backup.end() && keys->is_array()) {
    for (const nlohmann::json& key : *keys) {
      fields.emplace_back("opens " + Cell(key, "environment"),
                          "HSM " + Cell(key, "hsm") + ", master key version " +
                              std::to_string(IntegerOf(key, "master_key_version")));
    }
  }
  return fields;
}

Status Create(Session& session, const BackupArguments& arguments) {
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  const PlaintextBuffer backup =
      KMS_TRY(session.Download("/v1/sys/backup?keep=" + EncodePathSegment(arguments.keep)));
  const ByteView head = KMS_TRY(ProvenHead(backup.View()));
  const nlohmann::json description = KMS_TRY(AskService(session, head));
  KMS_TRY(sink.Write(backup.View()));
  KMS_TRY(sink.Commit());
  if (session.options.json) {
    nlohmann::json line = description;
    line["file"] = arguments.output_file;
    line["bytes"] = backup.size();
    line["sha256"] = HexEncode(Sha256(backup.View()));
    return Print(ToJsonLine(line) + "\n");
  }
  Note("wrote " + std::to_string(backup.size()) + " bytes to " + arguments.output_file);
  std::vector<Field> fields = FieldsOf(description);
  fields.emplace_back("sha256", HexEncode(Sha256(backup.View())));
  return Print(RenderFields(fields));
}

Status ListAll(Session& session, const BackupArguments& /*arguments*/) {
  const Result<nlohmann::json> answer = session.Call("LIST", kBackupsPath);
  const bool is_empty = !answer.has_value() && answer.error().code == ErrorCode::kNotFound;
  if (!answer.has_value() && !is_empty) {
    return answer.error();
  }
  nlohmann::json backups = nlohmann::json::array();
  if (!is_empty) {
    const nlohmann::json& data = DataOf(*answer);
    const auto keys = data.find("keys");
    const auto info = data.find("key_info");
    if (keys != data.end() && info != data.end()) {
      for (const nlohmann::json& key : *keys) {
        backups.push_back((*info)[key.get<std::string>()]);
      }
    }
  }
  if (session.options.json) {
    return Print(ToJsonLine({{"backups", backups}}) + "\n");
  }
  if (backups.empty()) {
    Note("no backups are known; make one with `kmsctl backup create --out FILE`");
    return Ok();
  }
  Table table{{"ID", "CREATED", "EXPIRES", "REVISION", "EXPIRED"}, {}};
  for (const nlohmann::json& backup : backups) {
    table.rows.push_back({Cell(backup, "id"), TimeCell(IntegerOf(backup, "created")),
                          TimeCell(IntegerOf(backup, "expires")),
                          std::to_string(IntegerOf(backup, "revision")), Cell(backup, "expired")});
  }
  return Print(RenderTable(table));
}

Status Forget(Session& session, const BackupArguments& arguments) {
  KMS_TRY(Confirm(
      "Forget backup " + arguments.id + "? Master keys that only it needs may be destroyed then.",
      arguments.yes));
  KMS_TRY(
      session.Call("DELETE", std::string(kBackupsPath) + "/" + EncodePathSegment(arguments.id)));
  if (session.options.json) {
    return Print(ToJsonLine({{"id", arguments.id}, {"forgotten", true}}) + "\n");
  }
  return Print("forgot backup " + arguments.id + "\n");
}

Result<std::string> ReadBackup(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    return NotFound("cannot read " + path);
  }
  std::string content(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0);
  if (!file.read(content.data(), static_cast<std::streamsize>(content.size()))) {
    return Unavailable("cannot read " + path);
  }
  return content;
}

Status Check(Session& session, const BackupArguments& arguments) {
  const std::string file = KMS_TRY(ReadBackup(arguments.input_file));
  const ByteView head = KMS_TRY(ProvenHead(AsBytes(file)));
  nlohmann::json result = {{"file", arguments.input_file},
                           {"bytes", file.size()},
                           {"checksum", true},
                           {"authentic", nullptr}};
  if (!arguments.offline) {
    result["backup"] = KMS_TRY(AskService(session, head));
    result["authentic"] = true;
  }
  if (session.options.json) {
    return Print(ToJsonLine(result) + "\n");
  }
  if (arguments.offline) {
    return Print("complete and undamaged; whether it is genuine, only the service can tell\n");
  }
  KMS_TRY(Print("complete, undamaged and of this service\n"));
  return Print(RenderFields(FieldsOf(result["backup"])));
}

using Verb = Status (*)(Session&, const BackupArguments&);

std::shared_ptr<BackupArguments> Run(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<BackupArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

}  // namespace

void AddBackupCommands(CLI::App& root, Session& session) {
  CLI::App& family =
      AddCommand(root, "backup", "Backups of the whole store, which `kmsd restore` puts back",
                 "  kmsctl backup create --out kms.backup\n"
                 "  kmsctl backup check kms.backup\n");
  family.require_subcommand(1);

  CLI::App& create =
      AddCommand(family, "create", "Write a consistent backup while the service runs",
                 "  kmsctl backup create --out kms.backup\n"
                 "  kmsctl backup create --out kms.backup --keep 365d\n");
  const auto created = Run(create, session, Create);
  create.add_option("-o,--out", created->output_file, "File to write, for you alone")
      ->required()
      ->type_name("FILE");
  create
      .add_option("--keep", created->keep,
                  "How long master keys are kept for its sake, for example 720h or 90d")
      ->capture_default_str();

  Run(AddCommand(family, "list", "List backups and until when they count",
                 "  kmsctl backup list\n"),
      session, ListAll);

  CLI::App& forget = AddCommand(family, "forget", "Let go of the master keys a backup needs",
                                "  kmsctl backup forget 6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11\n");
  const auto forgotten = Run(forget, session, Forget);
  forget.add_option("ID", forgotten->id, "As listed")->required();
  AddYesOption(forget, forgotten->yes);

  CLI::App& check = AddCommand(family, "check", "Prove that a backup is complete and genuine",
                               "  kmsctl backup check kms.backup\n"
                               "  kmsctl backup check kms.backup --offline\n");
  const auto checked = Run(check, session, Check);
  check.add_option("FILE", checked->input_file, "As written by create")->required();
  check.add_flag("--offline", checked->offline, "Compare the checksum alone, without a service");
}

}  // namespace kms::tools
