// SPDX-License-Identifier: Apache-2.0
// kmsctl datakey: a fresh key for encryption on the caller's side.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct DataKeyArguments {
  std::string environment;
  std::string key;
  int bits = 256;
  std::int64_t key_version = 0;
  std::string context;
  bool wrapped = false;
};

Status Generate(Session& session, const DataKeyArguments& arguments) {
  nlohmann::json body = {{"bits", arguments.bits}};
  if (arguments.key_version != 0) {
    body["key_version"] = arguments.key_version;
  }
  if (!arguments.context.empty()) {
    body["context"] = Base64Encode(AsBytes(arguments.context));
  }
  const std::string kind = arguments.wrapped ? "wrapped" : "plaintext";
  const nlohmann::json answer = KMS_TRY(
      session.Call("POST",
                   EnvironmentPath(arguments.environment,
                                   "datakey/" + kind + "/" + EncodePathSegment(arguments.key)),
                   body));
  const nlohmann::json& data = DataOf(answer);
  if (!data.contains("ciphertext")) {
    return MakeError(ErrorCode::kInternal,
                     "the answer has no ciphertext: is this the address of a key service?");
  }
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::vector<Field> fields = {{"ciphertext", Cell(data, "ciphertext")},
                               {"key version", Cell(data, "key_version")}};
  if (!arguments.wrapped) {
    fields.insert(fields.begin(), {"plaintext (base64)", Cell(data, "plaintext")});
  }
  return Print(RenderFields(fields));
}

}  // namespace

void AddDataKeyCommand(CLI::App& root, Session& session) {
  CLI::App& command =
      AddCommand(root, "datakey", "A new key for encryption on your side, with its wrapped form",
                 "  kmsctl datakey backups --json | jq -r .plaintext\n"
                 "  kmsctl datakey backups --wrapped      (nobody sees the key before decrypt)\n"
                 "  kmsctl decrypt backups CIPHERTEXT     (gives the key again)\n");
  auto arguments = std::make_shared<DataKeyArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->key, "Name of the key that wraps it")->required();
  command.add_option("--bits", arguments->bits, "128, 256 (default) or 512")
      ->type_name("N")
      ->check(CLI::IsMember({128, 256, 512}));
  command.add_flag("--wrapped", arguments->wrapped, "Only the wrapped form");
  command.add_option("--key-version", arguments->key_version, "Wrap with this version")
      ->type_name("N");
  command
      .add_option("--context", arguments->context,
                  "What a derived key derives from: the same to decrypt")
      ->type_name("TEXT");
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return Generate(session, *arguments); };
  });
}

}  // namespace kms::tools
