// SPDX-License-Identifier: Apache-2.0
// kmsctl key create|list|show|rotate|config|trim|soft-delete|restore|delete.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/key_view.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct KeyArguments {
  std::string environment;
  std::string name;
  std::string type = "aes256-gcm96";
  std::string auto_rotate_period;
  std::string protection;
  std::string hsm;
  std::string external_key_ref;
  std::int64_t key_size = 0;
  bool derived = false;
  bool convergent = false;
  bool exportable = false;
  bool allow_plaintext_backup = false;
  std::optional<std::int64_t> min_decryption_version;
  std::optional<std::int64_t> min_encryption_version;
  std::optional<bool> deletion_allowed;
  std::int64_t min_available_version = 0;
  bool details = false;
  bool yes = false;
};

std::string KeyPath(const KeyArguments& arguments, const std::string& verb = {}) {
  return EnvironmentPath(arguments.environment, "keys/" + EncodePathSegment(arguments.name) + verb);
}

// An answer that carries a key object: shown whole, or as the server sent it.
Status ShowKeyAnswer(const Session& session, const nlohmann::json& answer) {
  const nlohmann::json& key = DataOf(answer);
  return Print(session.options.json ? ToJsonLine(key) + "\n" : RenderKey(key));
}

Status Create(Session& session, const KeyArguments& arguments) {
  nlohmann::json body = {{"type", arguments.type}};
  if (!arguments.external_key_ref.empty()) {
    body["type"] = "external-key";
    body["external_key_ref"] = arguments.external_key_ref;
  }
  if (!arguments.protection.empty()) {
    body["protection"] = arguments.protection;
  }
  if (!arguments.hsm.empty()) {
    body["hsm"] = arguments.hsm;
    body["protection"] = "hsm";
  }
  if (arguments.derived || arguments.convergent) {
    body["derived"] = true;
  }
  if (arguments.convergent) {
    body["convergent_encryption"] = true;
  }
  if (arguments.exportable) {
    body["exportable"] = true;
  }
  if (arguments.allow_plaintext_backup) {
    body["allow_plaintext_backup"] = true;
  }
  if (!arguments.auto_rotate_period.empty()) {
    body["auto_rotate_period"] = arguments.auto_rotate_period;
  }
  if (arguments.key_size != 0) {
    body["key_size"] = arguments.key_size;
  }
  return ShowKeyAnswer(session, KMS_TRY(session.Call("POST", KeyPath(arguments), body)));
}

Status ListAll(Session& session, const KeyArguments& arguments) {
  const std::vector<std::string> names =
      KMS_TRY(session.List(EnvironmentPath(arguments.environment, "keys")));
  if (names.empty() && !session.options.json) {
    Note("no keys in " + arguments.environment + "; make one with `kmsctl key create NAME`");
    return Ok();
  }
  if (!arguments.details) {
    std::string text;
    for (const std::string& name : names) {
      text += Printable(name) + "\n";
    }
    return Print(session.options.json ? ToJsonLine({{"keys", names}}) + "\n" : text);
  }
  nlohmann::json keys = nlohmann::json::array();
  KeyArguments each = arguments;
  for (const std::string& name : names) {
    each.name = name;
    keys.push_back(DataOf(KMS_TRY(session.Call("GET", KeyPath(each)))));
  }
  return Print(session.options.json ? ToJsonLine({{"keys", keys}}) + "\n" : RenderKeyTable(keys));
}

Status Show(Session& session, const KeyArguments& arguments) {
  return ShowKeyAnswer(session, KMS_TRY(session.Call("GET", KeyPath(arguments))));
}

Status Rotate(Session& session, const KeyArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (!arguments.external_key_ref.empty()) {
    body["external_key_ref"] = arguments.external_key_ref;
  }
  const nlohmann::json answer = KMS_TRY(session.Call("POST", KeyPath(arguments, "/rotate"), body));
  KMS_TRY(ShowKeyAnswer(session, answer));
  if (!session.options.json) {
    Note("earlier versions still decrypt; move stored data with `kmsctl rewrap " + arguments.name +
         " --lines --in FILE --out FILE`");
  }
  return Ok();
}

Status Configure(Session& session, const KeyArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.min_decryption_version.has_value()) {
    body["min_decryption_version"] = *arguments.min_decryption_version;
  }
  if (arguments.min_encryption_version.has_value()) {
    body["min_encryption_version"] = *arguments.min_encryption_version;
  }
  if (arguments.deletion_allowed.has_value()) {
    body["deletion_allowed"] = *arguments.deletion_allowed;
  }
  if (arguments.exportable) {
    body["exportable"] = true;
  }
  if (arguments.allow_plaintext_backup) {
    body["allow_plaintext_backup"] = true;
  }
  if (!arguments.auto_rotate_period.empty()) {
    body["auto_rotate_period"] = arguments.auto_rotate_period;
  }
  if (body.empty()) {
    return InvalidArgument("nothing to change: see `kmsctl key config --help`");
  }
  return ShowKeyAnswer(session, KMS_TRY(session.Call("POST", KeyPath(arguments, "/config"), body)));
}

Status Trim(Session& session, const KeyArguments& arguments) {
  KMS_TRY(Confirm("Destroy every version of key " + arguments.name + " in " +
                      arguments.environment + " below " +
                      std::to_string(arguments.min_available_version) +
                      "? What they encrypted is lost.",
                  arguments.yes));
  return ShowKeyAnswer(
      session, KMS_TRY(session.Call("POST", KeyPath(arguments, "/trim"),
                                    {{"min_available_version", arguments.min_available_version}})));
}

// The answer of a request that the server takes silently for a key that does not exist.
Status ShowIfThere(const Session& session, const KeyArguments& arguments,
                   const nlohmann::json& answer) {
  if (!DataOf(answer).is_object() || DataOf(answer).empty()) {
    return NotFound("there is no key " + arguments.name + " in " + arguments.environment);
  }
  return ShowKeyAnswer(session, answer);
}

Status SoftDelete(Session& session, const KeyArguments& arguments) {
  KMS_TRY(Confirm("Refuse every use of key " + arguments.name + " in " + arguments.environment +
                      "? Nothing is lost; `kmsctl key restore` undoes it.",
                  arguments.yes, Undo::kPossible));
  return ShowIfThere(session, arguments,
                     KMS_TRY(session.Call("DELETE", KeyPath(arguments, "/soft-delete"))));
}

Status Restore(Session& session, const KeyArguments& arguments) {
  return ShowIfThere(session, arguments,
                     KMS_TRY(session.Call("POST", KeyPath(arguments, "/soft-delete-restore"))));
}

Status Delete(Session& session, const KeyArguments& arguments) {
  KMS_TRY(Confirm("Delete key " + arguments.name + " in " + arguments.environment +
                      " with all its versions? What it encrypted is lost.",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", KeyPath(arguments)));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"deleted", true}}) + "\n");
  }
  return Print("deleted key " + arguments.name + " in " + arguments.environment + "\n");
}

using Verb = Status (*)(Session&, const KeyArguments&);

std::shared_ptr<KeyArguments> TakeEnvironment(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<KeyArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

std::shared_ptr<KeyArguments> TakeName(CLI::App& command, Session& session, Verb verb) {
  auto arguments = TakeEnvironment(command, session, verb);
  command.add_option("KEY", arguments->name, "Name of the key")->required();
  return arguments;
}

void AddSharedSettings(CLI::App& command, KeyArguments& arguments) {
  command.add_flag("--exportable", arguments.exportable,
                   "Allow export of the key itself; can never be undone");
  command.add_flag("--allow-plaintext-backup", arguments.allow_plaintext_backup,
                   "Allow backups of the key itself; can never be undone");
  command
      .add_option("--auto-rotate-period", arguments.auto_rotate_period,
                  "Rotate by itself after this long, for example 30d; 0 turns it off")
      ->type_name("DURATION");
}

void AddCreate(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(family, "create", "Create a key; an existing one stays as it is",
                                 "  kmsctl key create orders\n"
                                 "  kmsctl key create cards -e prod --type chacha20-poly1305\n"
                                 "  kmsctl key create logs --auto-rotate-period 30d\n"
                                 "  kmsctl key create signing --type ecdsa-p256 --protection hsm\n"
                                 "  kmsctl key create old --external-key-ref default:signing-2020\n");
  const auto arguments = TakeName(command, session, Create);
  command
      .add_option("--type", arguments->type,
                  "aes256-gcm96 (default), aes128-gcm96, chacha20-poly1305, xchacha20-poly1305, "
                  "ed25519, ecdsa-p256, -p384, -p521, rsa-2048, -3072, -4096, hmac, or another "
                  "type that the server knows")
      ->type_name("TYPE");
  command.add_option("--key-size", arguments->key_size, "Bytes of an hmac key, 32 to 512")
      ->type_name("BYTES");
  command
      .add_option("--protection", arguments->protection,
                  "software (default), or hsm: the key is made in an HSM, never leaves it, and "
                  "every operation runs there")
      ->type_name("WHERE");
  command
      .add_option("--hsm", arguments->hsm,
                  "The HSM to make it in, of those that serve the environment; implies "
                  "--protection hsm")
      ->type_name("NAME");
  command
      .add_option("--external-key-ref", arguments->external_key_ref,
                  "Refer to a key that exists in an HSM: HSM:LABEL or HSM:id=HEX; its type is "
                  "found there")
      ->type_name("REF");
  command.add_flag("--derived", arguments->derived, "Derive a key for each context");
  command.add_flag("--convergent", arguments->convergent,
                   "Equal plaintexts give equal ciphertexts; implies --derived");
  AddSharedSettings(command, *arguments);
}

void AddConfig(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(family, "config", "Change a key's settings",
                                 "  kmsctl key config orders --min-decryption-version 3\n"
                                 "  kmsctl key config orders --deletion-allowed true\n");
  const auto arguments = TakeName(command, session, Configure);
  command
      .add_option("--min-decryption-version", arguments->min_decryption_version,
                  "Older versions no longer decrypt; they are kept and this can be undone")
      ->type_name("N");
  command
      .add_option("--min-encryption-version", arguments->min_encryption_version,
                  "Older versions no longer encrypt; 0 is the latest only")
      ->type_name("N");
  command.add_option("--deletion-allowed", arguments->deletion_allowed, "Allow `key delete`");
  AddSharedSettings(command, *arguments);
}

}  // namespace

void AddKeyCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "key", "Keys: create, rotate, retire",
                                "  kmsctl key create orders\n  kmsctl key rotate orders\n");
  family.require_subcommand(1);
  AddCreate(family, session);

  CLI::App& list = AddCommand(family, "list", "List the keys of an environment",
                              "  kmsctl key list -e prod\n  kmsctl key list --details\n");
  const auto listed = TakeEnvironment(list, session, ListAll);
  list.add_flag("--details", listed->details, "Type, versions and settings of each");

  TakeName(AddCommand(family, "show", "Show a key's settings and versions",
                      "  kmsctl key show orders\n"
                      "  kmsctl key show orders --json | jq .latest_version\n"),
           session, Show);
  CLI::App& rotate =
      AddCommand(family, "rotate", "Add a version and encrypt with it from now on",
                 "  kmsctl key rotate orders -e prod\n"
                 "  kmsctl key rotate old --external-key-ref default:signing-2026\n");
  const auto rotated = TakeName(rotate, session, Rotate);
  rotate
      .add_option("--external-key-ref", rotated->external_key_ref,
                  "Of a key that refers to one in an HSM: the key that the new version refers to")
      ->type_name("REF");
  AddConfig(family, session);

  CLI::App& trim = AddCommand(family, "trim", "Destroy old versions for good",
                              "  kmsctl key trim orders --min-available-version 3\n");
  const auto trimmed = TakeName(trim, session, Trim);
  trim.add_option("--min-available-version", trimmed->min_available_version,
                  "The oldest version to keep")
      ->type_name("N")
      ->required();
  AddYesOption(trim, trimmed->yes);

  CLI::App& hide = AddCommand(family, "soft-delete", "Refuse every use of a key; can be undone",
                              "  kmsctl key soft-delete orders --yes\n");
  const auto hidden = TakeName(hide, session, SoftDelete);
  AddYesOption(hide, hidden->yes);
  TakeName(AddCommand(family, "restore", "Undo soft-delete", "  kmsctl key restore orders\n"),
           session, Restore);

  CLI::App& remove = AddCommand(family, "delete", "Delete a key with all its versions",
                                "  kmsctl key config orders --deletion-allowed true\n"
                                "  kmsctl key delete orders --yes\n");
  const auto removed = TakeName(remove, session, Delete);
  AddYesOption(remove, removed->yes);
}

}  // namespace kms::tools
