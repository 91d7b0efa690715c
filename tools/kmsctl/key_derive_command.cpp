// SPDX-License-Identifier: Apache-2.0
// kmsctl key derive: a key that another party has too, by key agreement.
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct DeriveArguments {
  std::string environment;
  std::string name;
  std::string base;
  std::int64_t base_version = 0;
  std::string peer_file;
  std::string type = "aes256-gcm96";
};

Status Derive(Session& session, const DeriveArguments& arguments) {
  const PlaintextBuffer peer = KMS_TRY(ReadInput({std::nullopt, arguments.peer_file}));
  nlohmann::json body = {{"base_key_name", arguments.base},
                         {"peer_public_key", std::string(AsText(peer.View()))},
                         {"derived_key_type", arguments.type}};
  if (arguments.base_version != 0) {
    body["base_key_version"] = arguments.base_version;
  }
  const std::string path =
      EnvironmentPath(arguments.environment, "derive-key/" + EncodePathSegment(arguments.name));
  KMS_TRY(session.Call("POST", path, body));
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {"derived_from", arguments.base}}) + "\n");
  }
  return Print("made key " + arguments.name + " in " + arguments.environment + " from " +
               arguments.base + " and the peer's key\n");
}

}  // namespace

void AddKeyDerive(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(
      family, "derive", "Make a key from an EC key and the public key of another party (ECDH)",
      "  kmsctl key derive shared --base mine --peer theirs.pem\n");
  auto arguments = std::make_shared<DeriveArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->name, "Name of the new key")->required();
  command.add_option("--base", arguments->base, "The environment's EC key")
      ->type_name("KEY")
      ->required();
  command.add_option("--base-version", arguments->base_version, "Its version; default the latest")
      ->type_name("N");
  command.add_option("--peer", arguments->peer_file, "PEM of the other party's public key")
      ->type_name("FILE")
      ->required();
  command.add_option("--type", arguments->type, "Type of the new key; default aes256-gcm96")
      ->type_name("TYPE");
  OnParse(command, session, arguments, Derive);
}

}  // namespace kms::tools
