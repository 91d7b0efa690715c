// SPDX-License-Identifier: Apache-2.0
// kmsctl datakey: a fresh key for encryption on the caller's side.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/message_verb.h"
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
  std::int64_t count = 0;  // 0: one, as datakey answers it
};

std::string PathOf(const DataKeyArguments& arguments) {
  const std::string verb = arguments.count == 0 ? "datakey/" : "datakeys/";
  const std::string kind = arguments.wrapped ? "wrapped/" : "plaintext/";
  return EnvironmentPath(arguments.environment, verb + kind + EncodePathSegment(arguments.key));
}

nlohmann::json BodyOf(const DataKeyArguments& arguments) {
  nlohmann::json body = {{"bits", arguments.bits}};
  if (arguments.count != 0) {
    body["count"] = arguments.count;
  }
  if (arguments.key_version != 0) {
    body["key_version"] = arguments.key_version;
  }
  if (!arguments.context.empty()) {
    body["context"] = Base64Encode(AsBytes(arguments.context));
  }
  return body;
}

std::string RenderOne(const nlohmann::json& data, bool wrapped) {
  std::vector<Field> fields = {{"ciphertext", Cell(data, "ciphertext")},
                               {"key version", Cell(data, "key_version")}};
  if (!wrapped) {
    fields.insert(fields.begin(), {"plaintext (base64)", Cell(data, "plaintext")});
  }
  return RenderFields(fields);
}

std::string RenderPairs(const nlohmann::json& data, bool wrapped) {
  Table table{.titles = {"CIPHERTEXT"}, .rows = {}};
  if (!wrapped) {
    table.titles.insert(table.titles.begin(), "PLAINTEXT (BASE64)");
  }
  for (const nlohmann::json& pair : data["key_pairs"]) {
    std::vector<std::string> row = {Cell(pair, "ciphertext")};
    if (!wrapped) {
      row.insert(row.begin(), Cell(pair, "plaintext"));
    }
    table.rows.push_back(std::move(row));
  }
  return RenderTable(table);
}

Status Generate(Session& session, const DataKeyArguments& arguments) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", PathOf(arguments), BodyOf(arguments)));
  const nlohmann::json& data = DataOf(answer);
  const std::string_view expected = arguments.count == 0 ? "ciphertext" : "key_pairs";
  if (!data.contains(std::string(expected)) ||
      (arguments.count != 0 && !data["key_pairs"].is_array())) {
    return NoSuchMember(expected);
  }
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  return Print(arguments.count == 0 ? RenderOne(data, arguments.wrapped)
                                    : RenderPairs(data, arguments.wrapped));
}

}  // namespace

void AddDataKeyCommand(CLI::App& root, Session& session) {
  CLI::App& command =
      AddCommand(root, "datakey", "A new key for encryption on your side, with its wrapped form",
                 "  kmsctl datakey backups --json | jq -r .plaintext\n"
                 "  kmsctl datakey backups --wrapped      (nobody sees the key before decrypt)\n"
                 "  kmsctl datakey backups --wrapped --count 100 --json\n"
                 "  kmsctl decrypt backups CIPHERTEXT     (gives the key again)\n");
  auto arguments = std::make_shared<DataKeyArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->key, "Name of the key that wraps it")->required();
  command.add_option("--bits", arguments->bits, "128, 256 (default) or 512")
      ->type_name("N")
      ->check(CLI::IsMember({128, 256, 512}));
  command.add_flag("--wrapped", arguments->wrapped, "Only the wrapped form");
  command.add_option("--count", arguments->count, "Make that many in one call")
      ->type_name("N")
      ->check(CLI::Range(1, 10000));
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
