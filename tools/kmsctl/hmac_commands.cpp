// SPDX-License-Identifier: Apache-2.0
// kmsctl hmac, verify-hmac: authenticate data under a key of any type.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/data_verb.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/message_verb.h"

namespace kms::tools {

namespace {

struct HmacArguments {
  std::string environment;
  std::string key;
  std::string hmac;
  InputSource input;
  std::string algorithm = "sha2-256";
  std::int64_t key_version = 0;
};

std::string VerbPath(const HmacArguments& arguments, const std::string& verb) {
  return EnvironmentPath(arguments.environment, verb + "/" + EncodePathSegment(arguments.key) +
                                                    "/" + EncodePathSegment(arguments.algorithm));
}

Status Make(Session& session, const HmacArguments& arguments) {
  const PlaintextBuffer input = KMS_TRY(ReadInput(arguments.input));
  JsonBody body(Base64EncodedSize(input.size()) + 256);
  body.BeginObject();
  body.AddBase64("input", input.View());
  if (arguments.key_version != 0) {
    body.AddNumber("key_version", arguments.key_version);
  }
  body.EndObject();
  const nlohmann::json answer =
      KMS_TRY(session.CallRaw("POST", VerbPath(arguments, "hmac"), body.View()));
  return PrintMember(session, DataOf(answer), "hmac");
}

Status Verify(Session& session, const HmacArguments& arguments) {
  const PlaintextBuffer input = KMS_TRY(ReadInput(arguments.input));
  const std::string_view hmac = TrimCiphertext(arguments.hmac);
  JsonBody body(Base64EncodedSize(input.size()) + hmac.size() + 256);
  body.BeginObject();
  body.AddBase64("input", input.View());
  body.AddText("hmac", hmac);
  body.EndObject();
  const nlohmann::json answer =
      KMS_TRY(session.CallRaw("POST", VerbPath(arguments, "verify"), body.View()));
  return PrintValidity(session, DataOf(answer),
                       "the HMAC does not belong to this input: was it made with this key, in this "
                       "environment, with the same --algorithm?");
}

void AddCommonOptions(CLI::App& command, HmacArguments& arguments) {
  AddInputOptions(command, "INPUT", arguments.input);
  command
      .add_option("--algorithm", arguments.algorithm,
                  "sha1, sha2-224, sha2-256 (default), sha2-384, sha2-512, or sha3-224 to sha3-512")
      ->type_name("NAME");
}

void AddHmac(CLI::App& root, Session& session) {
  CLI::App& command =
      AddCommand(root, "hmac", "An HMAC of data, under a key of any type",
                 "  kmsctl hmac orders 'order 17: 3 apples'\n"
                 "  kmsctl hmac orders --in order.json --algorithm sha3-256 > order.hmac\n");
  auto arguments = std::make_shared<HmacArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->key, "Name of the key")->required();
  AddCommonOptions(command, *arguments);
  AddKeyVersionOption(command, arguments->key_version);
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return Make(session, *arguments); };
  });
}

void AddVerifyHmac(CLI::App& root, Session& session) {
  CLI::App& command =
      AddCommand(root, "verify-hmac", "Check an HMAC: status 0 when it is valid, 5 when it is not",
                 "  kmsctl verify-hmac orders vault:v1:zBjSL54s... 'order 17: 3 apples'\n"
                 "  kmsctl verify-hmac orders \"$(cat order.hmac)\" --in order.json "
                 "--algorithm sha3-256\n");
  auto arguments = std::make_shared<HmacArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->key, "Name of the key")->required();
  command.add_option("HMAC", arguments->hmac, "The HMAC, as `kmsctl hmac` printed it")->required();
  AddCommonOptions(command, *arguments);
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return Verify(session, *arguments); };
  });
}

}  // namespace

void AddHmacCommands(CLI::App& root, Session& session) {
  AddHmac(root, session);
  AddVerifyHmac(root, session);
}

}  // namespace kms::tools
