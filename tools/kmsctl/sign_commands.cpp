// SPDX-License-Identifier: Apache-2.0
// kmsctl sign, verify: signatures under EC, Ed25519 and RSA keys.
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

constexpr std::size_t kRoomForOptions = 1024;

struct SignArguments {
  std::string environment;
  std::string key;
  std::string signature;
  InputSource input;
  std::string hash = "sha2-256";
  bool prehashed = false;
  std::string marshaling;
  std::string scheme;
  std::string salt_length;
  std::string context;
  std::int64_t key_version = 0;
};

std::string VerbPath(const SignArguments& arguments, const std::string& verb) {
  return EnvironmentPath(arguments.environment, verb + "/" + EncodePathSegment(arguments.key) +
                                                    "/" + EncodePathSegment(arguments.hash));
}

// What was given; the rest is the server's default.
void AddOptions(JsonBody& body, const SignArguments& arguments) {
  if (arguments.prehashed) {
    body.AddText("prehashed", "true");
  }
  if (!arguments.marshaling.empty()) {
    body.AddText("marshaling_algorithm", arguments.marshaling);
  }
  if (!arguments.scheme.empty()) {
    body.AddText("signature_algorithm", arguments.scheme);
  }
  if (!arguments.salt_length.empty()) {
    body.AddText("salt_length", arguments.salt_length);
  }
  if (!arguments.context.empty()) {
    body.AddBase64("context", AsBytes(arguments.context));
  }
}

Status Make(Session& session, const SignArguments& arguments) {
  const PlaintextBuffer input = KMS_TRY(ReadInput(arguments.input));
  JsonBody body(Base64EncodedSize(input.size()) + Base64EncodedSize(arguments.context.size()) +
                kRoomForOptions);
  body.BeginObject();
  body.AddBase64("input", input.View());
  AddOptions(body, arguments);
  if (arguments.key_version != 0) {
    body.AddNumber("key_version", arguments.key_version);
  }
  body.EndObject();
  const nlohmann::json answer =
      KMS_TRY(session.CallRaw("POST", VerbPath(arguments, "sign"), body.View()));
  return PrintMember(session, DataOf(answer), "signature");
}

Status Verify(Session& session, const SignArguments& arguments) {
  const PlaintextBuffer input = KMS_TRY(ReadInput(arguments.input));
  const std::string_view signature = TrimCiphertext(arguments.signature);
  JsonBody body(Base64EncodedSize(input.size()) + Base64EncodedSize(arguments.context.size()) +
                signature.size() + kRoomForOptions);
  body.BeginObject();
  body.AddBase64("input", input.View());
  body.AddText("signature", signature);
  AddOptions(body, arguments);
  body.EndObject();
  const nlohmann::json answer =
      KMS_TRY(session.CallRaw("POST", VerbPath(arguments, "verify"), body.View()));
  return PrintValidity(session, DataOf(answer),
                       "the signature does not belong to this input: was it made with this key, in "
                       "this environment, with the same --hash, --signature-algorithm and "
                       "--context?");
}

void AddCommonOptions(CLI::App& command, SignArguments& arguments) {
  AddInputOptions(command, "INPUT", arguments.input);
  command
      .add_option("--hash", arguments.hash,
                  "sha1, sha2-224, sha2-256 (default), sha2-384, sha2-512, sha3-224 to sha3-512, "
                  "or none; ed25519 has its own")
      ->type_name("NAME");
  command.add_flag("--prehashed", arguments.prehashed,
                   "The input is the hash's bytes already, for EC and RSA");
  command.add_option("--marshaling", arguments.marshaling, "asn1 (default) or jws")
      ->type_name("NAME")
      ->check(CLI::IsMember({"asn1", "jws"}));
  command.add_option("--signature-algorithm", arguments.scheme, "RSA: pss (default) or pkcs1v15")
      ->type_name("NAME")
      ->check(CLI::IsMember({"pss", "pkcs1v15"}));
  command
      .add_option("--salt-length", arguments.salt_length,
                  "RSA with pss: auto (default), hash, or bytes")
      ->type_name("LENGTH");
  command.add_option("--context", arguments.context, "For derived keys: what to derive from")
      ->type_name("TEXT");
}

void AddSign(CLI::App& root, Session& session) {
  CLI::App& command =
      AddCommand(root, "sign", "Sign data with an EC, Ed25519 or RSA key",
                 "  kmsctl key create releases --type ed25519\n"
                 "  kmsctl sign releases --in app.tar.gz > app.tar.gz.sig\n"
                 "  kmsctl sign tokens --marshaling jws 'header.payload'\n"
                 "  openssl dgst -sha512 -binary app.tar.gz | "
                 "kmsctl sign rsa --hash sha2-512 --prehashed\n");
  auto arguments = std::make_shared<SignArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->key, "Name of the key")->required();
  AddCommonOptions(command, *arguments);
  AddKeyVersionOption(command, arguments->key_version);
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return Make(session, *arguments); };
  });
}

void AddVerify(CLI::App& root, Session& session) {
  CLI::App& command = AddCommand(
      root, "verify", "Check a signature: status 0 when it is valid, 5 when it is not",
      "  kmsctl verify releases \"$(cat app.tar.gz.sig)\" --in app.tar.gz\n"
      "  kmsctl verify tokens vault:v1:MEUCIQ... 'header.payload' --marshaling jws\n");
  auto arguments = std::make_shared<SignArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->key, "Name of the key")->required();
  command.add_option("SIGNATURE", arguments->signature, "The signature, as `kmsctl sign` printed it")
      ->required();
  AddCommonOptions(command, *arguments);
  command.callback([&session, arguments] {
    session.command = [&session, arguments] { return Verify(session, *arguments); };
  });
}

}  // namespace

void AddSignCommands(CLI::App& root, Session& session) {
  AddSign(root, session);
  AddVerify(root, session);
}

}  // namespace kms::tools
