// SPDX-License-Identifier: Apache-2.0
// kmsctl random, hash: what the service offers without any key.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/message_verb.h"

namespace kms::tools {

namespace {

struct RandomArguments {
  std::string environment;
  std::int64_t bytes = 32;
  std::string source = "platform";
  std::string format = "base64";
};

struct HashArguments {
  std::string environment;
  InputSource input;
  std::string algorithm = "sha2-256";
  std::string format = "hex";
};

Status Random(Session& session, const RandomArguments& arguments) {
  const std::string path =
      EnvironmentPath(arguments.environment, "random/" + EncodePathSegment(arguments.source) +
                                                 "/" + std::to_string(arguments.bytes));
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", path, {{"format", arguments.format}}));
  return PrintMember(session, DataOf(answer), "random_bytes");
}

Status HashInput(Session& session, const HashArguments& arguments) {
  const PlaintextBuffer input = KMS_TRY(ReadInput(arguments.input));
  JsonBody body(Base64EncodedSize(input.size()) + 256);
  body.BeginObject();
  body.AddBase64("input", input.View());
  body.AddText("format", arguments.format);
  body.EndObject();
  const std::string path = EnvironmentPath(arguments.environment,
                                           "hash/" + EncodePathSegment(arguments.algorithm));
  const nlohmann::json answer = KMS_TRY(session.CallRaw("POST", path, body.View()));
  return PrintMember(session, DataOf(answer), "sum");
}

void AddRandom(CLI::App& root, Session& session) {
  CLI::App& command =
      AddCommand(root, "random", "Random bytes from the service's generators",
                 "  kmsctl random\n"
                 "  kmsctl random --bytes 64 --format hex\n"
                 "  kmsctl random --source seal       (the HSM, mixed with the kernel)\n");
  auto arguments = std::make_shared<RandomArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("--bytes", arguments->bytes, "How many, 1 to 131072; default 32")
      ->type_name("N")
      ->check(CLI::Range(1, 131072));
  command.add_option("--source", arguments->source, "platform (default), seal or all")
      ->type_name("SOURCE")
      ->check(CLI::IsMember({"platform", "seal", "all"}));
  command.add_option("--format", arguments->format, "base64 (default) or hex")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"base64", "hex"}));
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return Random(session, *arguments); };
  });
}

void AddHash(CLI::App& root, Session& session) {
  CLI::App& command = AddCommand(root, "hash", "Hash data, without any key",
                                 "  kmsctl hash 'some text'\n"
                                 "  kmsctl hash --in photo.jpg --algorithm sha3-512\n"
                                 "  tar c data | kmsctl hash --format base64\n");
  auto arguments = std::make_shared<HashArguments>();
  AddEnvironmentOption(command, arguments->environment);
  AddInputOptions(command, "INPUT", arguments->input);
  command
      .add_option("--algorithm", arguments->algorithm,
                  "sha2-224, sha2-256 (default), sha2-384, sha2-512, or the same of sha3")
      ->type_name("NAME");
  command.add_option("--format", arguments->format, "hex (default) or base64")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"base64", "hex"}));
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return HashInput(session, *arguments); };
  });
}

}  // namespace

void AddKeylessCommands(CLI::App& root, Session& session) {
  AddRandom(root, session);
  AddHash(root, session);
}

}  // namespace kms::tools
