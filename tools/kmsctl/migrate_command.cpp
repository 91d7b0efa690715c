// SPDX-License-Identifier: Apache-2.0
// kmsctl migrate vault: the keys of a running Vault or OpenBao come here.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/secret_bytes.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/migration.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct MigrateArguments {
  std::string from;
  std::string from_token_file;
  std::string from_ca_file;
  std::string mount = "transit";
  std::string environment;
  std::vector<std::string> keys;
  bool dry_run = false;
};

// What became of a key, in one or two words.
std::string OutcomeOf(const MigratedKey& key, bool dry_run) {
  if (!key.good()) {
    return dry_run ? "cannot move" : "not moved";
  }
  if (dry_run) {
    return key.how == "there already" ? key.how : "would move by " + key.how;
  }
  return key.how == "there already" ? key.how : "moved by " + key.how;
}

Table TableOf(const std::vector<MigratedKey>& keys, bool dry_run) {
  Table table{.titles = {"KEY", "TYPE", "VERSIONS", "OUTCOME", "PROVEN", "WHY"}, .rows = {}};
  for (const MigratedKey& key : keys) {
    table.rows.push_back({Printable(key.name), Printable(key.type),
                          std::to_string(key.latest_version), OutcomeOf(key, dry_run),
                          key.samples == 0 ? "-" : std::to_string(key.samples) + " samples",
                          key.good() ? "-" : Printable(key.problem)});
  }
  return table;
}

nlohmann::json JsonOf(const std::vector<MigratedKey>& keys, bool dry_run) {
  nlohmann::json rows = nlohmann::json::array();
  for (const MigratedKey& key : keys) {
    rows.push_back({{"name", key.name},
                    {"type", key.type},
                    {"latest_version", key.latest_version},
                    {"outcome", OutcomeOf(key, dry_run)},
                    {"samples_proven", key.samples},
                    {"problem", key.problem}});
  }
  return {{"keys", rows}};
}

Session SourceSession(const Session& session, const MigrateArguments& arguments) {
  Session source;
  source.options = session.options;
  source.options.address = arguments.from;
  source.options.token_file = arguments.from_token_file;
  source.options.token_variable = "VAULT_TOKEN";
  source.options.ca_file =
      arguments.from_ca_file.empty() ? session.options.ca_file : arguments.from_ca_file;
  return source;
}

void NoteProgress(const Session& session, const MigratedKey& key, std::size_t done,
                  std::size_t all, bool dry_run) {
  if (session.options.json) {
    return;
  }
  Note("[" + std::to_string(done) + "/" + std::to_string(all) + "] " + Printable(key.name) + ": " +
       OutcomeOf(key, dry_run));
}

Status Report(const Session& session, const std::vector<MigratedKey>& keys, bool dry_run) {
  return Print(session.options.json ? ToJsonLine(JsonOf(keys, dry_run)) + "\n"
                                    : RenderTable(TableOf(keys, dry_run)));
}

Status MigrateVault(Session& session, const MigrateArguments& arguments) {
  KMS_TRY(InitializeSecretMemory());
  Session source = SourceSession(session, arguments);
  Migration migration(source, "/v1/" + EncodePath(arguments.mount), session,
                      "/v1/" + EncodePath(arguments.environment));
  const std::vector<std::string> names =
      arguments.keys.empty() ? KMS_TRY(migration.Names()) : arguments.keys;
  if (names.empty()) {
    Note("no keys in " + arguments.mount + " at " + arguments.from);
  }
  std::vector<MigratedKey> keys;
  for (const std::string& name : names) {
    Result<MigratedKey> key = migration.Move(name, arguments.dry_run);
    if (!key.has_value()) {
      KMS_TRY(Report(session, keys, arguments.dry_run));
      Note("stopped at key " + Printable(name) + "; run the same command again to go on");
      return key.error();
    }
    NoteProgress(session, *key, keys.size() + 1, names.size(), arguments.dry_run);
    keys.push_back(std::move(*key));
  }
  KMS_TRY(Report(session, keys, arguments.dry_run));
  const auto failed = std::ranges::count_if(keys, [](const MigratedKey& key) {
    return !key.good();
  });
  if (failed == 0) {
    return Ok();
  }
  return FailedPrecondition(std::to_string(failed) + " of " + std::to_string(keys.size()) +
                            " keys did not move; the last column says why. What moved stays: run "
                            "the command again when the reason is gone");
}

}  // namespace

void AddMigrateCommand(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "migrate", "Bring keys from another service",
                                "  kmsctl migrate vault --from https://vault:8200 -e prod\n");
  family.require_subcommand(1);
  CLI::App& command = AddCommand(
      family, "vault", "Bring the keys of a Transit mount of Vault or OpenBao",
      "  VAULT_TOKEN=… KMS_TOKEN=… kmsctl migrate vault --from https://vault:8200 --mount transit "
      "-e prod\n"
      "  kmsctl migrate vault --from https://vault:8200 --from-token-file vt -e prod --dry-run\n"
      "\n"
      "Keys come with their names, versions and HMAC keys: by a backup where the key allows it,\n"
      "else by export. Each is proven: samples that the source encrypts or signs are opened or\n"
      "verified here. Nothing changes at the source but the time of the backup. The command can be\n"
      "run again at any time; keys that are here already are only proven.\n");
  auto arguments = std::make_shared<MigrateArguments>();
  command.add_option("--from", arguments->from, "Address of the Vault or OpenBao server")
      ->type_name("URL")
      ->required();
  command
      .add_option("--from-token-file", arguments->from_token_file,
                  "Read its token from this file; default VAULT_TOKEN")
      ->type_name("FILE");
  command
      .add_option("--from-ca-file", arguments->from_ca_file,
                  "CA certificates of its address; default as --ca-file")
      ->type_name("FILE");
  command
      .add_option("--mount", arguments->mount,
                  "Path of its Transit mount, namespace included; default transit")
      ->type_name("PATH");
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("--key", arguments->keys, "Only this key; may be repeated")->type_name("NAME");
  command.add_flag("--dry-run", arguments->dry_run, "Say what would move, and move nothing");
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return MigrateVault(session, *arguments); };
  });
}

}  // namespace kms::tools
