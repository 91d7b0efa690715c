// SPDX-License-Identifier: Apache-2.0
// kmsctl key import: a key or a version of one from a file; it is encrypted to the server's
// wrapping key on this side.
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/key_file.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct ImportArguments {
  std::string environment;
  std::string name;
  std::string type;
  std::string raw_file;
  std::string pem_file;
  std::string der_file;
  std::string public_key_file;
  bool hex = false;
  bool base64 = false;
  std::string hash = "SHA256";
  bool new_version = false;
  std::optional<std::int64_t> version;
  bool derived = false;
  bool exportable = false;
  bool allow_plaintext_backup = false;
  bool allow_rotation = false;
  std::string auto_rotate_period;

  [[nodiscard]] bool adds_version() const { return new_version || version.has_value(); }
};

Result<KeyFile> FileOf(const ImportArguments& arguments) {
  KeyFile source;
  int files = 0;
  for (const auto& [file, form] : {std::pair{arguments.raw_file, KeyFileForm::kRaw},
                                   {arguments.pem_file, KeyFileForm::kPem},
                                   {arguments.der_file, KeyFileForm::kDer},
                                   {arguments.public_key_file, KeyFileForm::kDetect}}) {
    if (!file.empty()) {
      source.file = file;
      source.form = form;
      ++files;
    }
  }
  if (files > 1) {
    return InvalidArgument("give one of --raw-file, --pem, --der and --public-key");
  }
  if (arguments.hex || arguments.base64) {
    source.text = arguments.hex ? RawText::kHex : RawText::kBase64;
  }
  return source;
}

Result<std::string> TypeOnServer(Session& session, const ImportArguments& arguments) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("GET", KeyVerbPath(arguments.environment, arguments.name, "")));
  return Cell(DataOf(answer), "type");
}

Status AddMaterial(Session& session, const ImportArguments& arguments, const std::string& type,
                   nlohmann::json& body) {
  const KeyFile source = KMS_TRY(FileOf(arguments));
  if (!arguments.public_key_file.empty()) {
    const PlaintextBuffer pem = KMS_TRY(ReadInput({std::nullopt, source.file}));
    body["public_key"] = std::string(AsText(pem.View()));
    return Ok();
  }
  const SecretBytes material = KMS_TRY(ReadKeyFile(source, type));
  body["ciphertext"] =
      KMS_TRY(WrapForImport(session, arguments.environment, arguments.hash, material));
  body["hash_function"] = arguments.hash;
  return Ok();
}

void AddSettings(const ImportArguments& arguments, nlohmann::json& body) {
  for (const auto& [name, is_set] : {std::pair{"derived", arguments.derived},
                                     {"exportable", arguments.exportable},
                                     {"allow_plaintext_backup", arguments.allow_plaintext_backup},
                                     {"allow_rotation", arguments.allow_rotation}}) {
    if (is_set) {
      body[name] = true;
    }
  }
  if (!arguments.auto_rotate_period.empty()) {
    body["auto_rotate_period"] = arguments.auto_rotate_period;
  }
}

Status Report(const Session& session, const ImportArguments& arguments) {
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"imported", true}}) + "\n");
  }
  return Print(
      std::string(arguments.adds_version() ? "imported a version of key " : "imported key ") +
      arguments.name + " in " + arguments.environment + "\n");
}

Status Import(Session& session, const ImportArguments& arguments) {
  KMS_TRY(PrepareForKeys());
  nlohmann::json body = nlohmann::json::object();
  if (arguments.adds_version()) {
    const std::string type = KMS_TRY(TypeOnServer(session, arguments));
    KMS_TRY(AddMaterial(session, arguments, type, body));
    if (arguments.version) {
      body["version"] = *arguments.version;
    }
    const std::string path = KeyVerbPath(arguments.environment, arguments.name, "/import_version");
    KMS_TRY(session.Call("POST", path, body));
    return Report(session, arguments);
  }
  const std::string type = arguments.type.empty() ? "aes256-gcm96" : arguments.type;
  body["type"] = type;
  AddSettings(arguments, body);
  KMS_TRY(AddMaterial(session, arguments, type, body));
  const std::string path = KeyVerbPath(arguments.environment, arguments.name, "/import");
  KMS_TRY(session.Call("POST", path, body));
  return Report(session, arguments);
}

void AddSource(CLI::App& command, ImportArguments& arguments) {
  command
      .add_option("--raw-file", arguments.raw_file,
                  "The bytes of the key itself: AEAD and hmac keys, the seed of ed25519")
      ->type_name("FILE");
  command.add_option("--pem", arguments.pem_file, "PEM: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC)")
      ->type_name("FILE");
  command.add_option("--der", arguments.der_file, "The same as DER")->type_name("FILE");
  command
      .add_option("--public-key", arguments.public_key_file,
                  "PEM of a public key: the key verifies and encrypts, and nothing else")
      ->type_name("FILE");
  command.add_flag("--hex", arguments.hex, "A raw key is written in hexadecimal");
  command.add_flag("--base64", arguments.base64, "A raw key is written in base64");
  command
      .add_option("--hash-function", arguments.hash,
                  "Of the wrapping (RSA-OAEP): SHA256 (default), SHA1, SHA224, SHA384, SHA512")
      ->type_name("HASH");
}

void AddPolicy(CLI::App& command, ImportArguments& arguments) {
  command.add_option("--type", arguments.type, "Type of the key; default aes256-gcm96")
      ->type_name("TYPE");
  command.add_flag("--derived", arguments.derived, "Derive a key for each context");
  command.add_flag("--allow-rotation", arguments.allow_rotation,
                   "Let the service make later versions by itself");
  command.add_flag("--exportable", arguments.exportable,
                   "Allow export of the key itself; can never be undone");
  command.add_flag("--allow-plaintext-backup", arguments.allow_plaintext_backup,
                   "Allow backups of the key itself; can never be undone");
  command
      .add_option("--auto-rotate-period", arguments.auto_rotate_period,
                  "Rotate by itself after this long, for example 30d; needs --allow-rotation")
      ->type_name("DURATION");
}

}  // namespace

void AddKeyImport(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(
      family, "import",
      "Import a key from a file or standard input; it leaves this process only encrypted to the "
      "server's wrapping key",
      "  kmsctl key import cards --raw-file card.key --hex\n"
      "  kmsctl key import web --type ecdsa-p256 --pem web.pem --allow-rotation\n"
      "  kmsctl key import peer --type rsa-4096 --public-key peer.pem\n"
      "  kmsctl key import cards --new-version < next.key\n");
  auto arguments = std::make_shared<ImportArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->name, "Name of the key")->required();
  AddSource(command, *arguments);
  AddPolicy(command, *arguments);
  command.add_flag("--new-version", arguments->new_version,
                   "Add a version to an imported key, or the private half to its latest one");
  command
      .add_option("--version", arguments->version,
                  "Add the private half of this version, which has only its public one")
      ->type_name("N");
  OnParse(command, session, arguments, Import);
}

}  // namespace kms::tools
