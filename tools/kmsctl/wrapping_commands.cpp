// SPDX-License-Identifier: Apache-2.0
// kmsctl wrap, kmsctl unwrap: answers under a token that opens them once.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/secret_input.h"

namespace kms::tools {

namespace {

struct WrappingArguments {
  std::string input_file;
  std::string output_file;
  std::string ttl = "5m";
  std::string token_file;
};

Status Wrap(Session& session, const WrappingArguments& arguments) {
  const PlaintextBuffer input =
      KMS_TRY(ReadInput({.argument = std::nullopt, .file = arguments.input_file}));
  session.options.wrap_ttl = arguments.ttl;
  const nlohmann::json answer =
      KMS_TRY(session.CallRaw("POST", "/v1/sys/wrapping/wrap", AsText(input.View())));
  const auto wrapped = answer.find("wrap_info");
  if (wrapped == answer.end() || !wrapped->is_object()) {
    return MakeError(ErrorCode::kInternal, "the server did not wrap the input");
  }
  if (session.options.json) {
    return Print(ToJsonLine(*wrapped) + "\n");
  }
  Note("opens once, within " + Cell(*wrapped, "ttl") + " seconds: `kmsctl unwrap`");
  return Print(Cell(*wrapped, "token") + "\n");
}

// The data, or what a login or new token shows when it was that which was wrapped.
const nlohmann::json& ContentOf(const nlohmann::json& answer) {
  const auto auth = answer.find("auth");
  return auth != answer.end() && auth->is_object() ? *auth : DataOf(answer);
}

// The file is opened first: the answer is read once.
Status UnwrapOne(Session& session, const WrappingArguments& arguments) {
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  const PlaintextBuffer token = KMS_TRY(ReadSecretLine(arguments.token_file, "Wrapping token: "));
  JsonBody body(token.size() * 2 + 64);
  body.BeginObject();
  body.AddText("token", AsText(token.View()));
  body.EndObject();
  session.options.anonymous = true;  // the wrapping token is all it takes
  const nlohmann::json answer =
      KMS_TRY(session.CallRaw("POST", "/v1/sys/wrapping/unwrap", body.View()));
  const std::string line = ToJsonLine(ContentOf(answer)) + "\n";
  KMS_TRY(sink.Write(AsBytes(line)));
  return sink.Commit();
}

using Verb = Status (*)(Session&, const WrappingArguments&);

std::shared_ptr<WrappingArguments> Take(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<WrappingArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

}  // namespace

void AddWrappingCommands(CLI::App& root, Session& session) {
  CLI::App& wrap = AddCommand(root, "wrap", "Leave a JSON object for somebody who opens it once",
                              "  kmsctl wrap --in secret.json --ttl 1h\n"
                              "  echo '{\"password\":\"x\"}' | kmsctl wrap\n");
  const auto wrapped = Take(wrap, session, Wrap);
  wrap.add_option("-i,--in", wrapped->input_file, "Read from this file; default standard input")
      ->type_name("FILE");
  wrap.add_option("--ttl", wrapped->ttl, "How long it waits; default 5m")->type_name("DURATION");

  CLI::App& unwrap = AddCommand(root, "unwrap", "Open what a wrapping token stands for, once",
                                "  kmsctl unwrap\n"
                                "  kmsctl unwrap --wrapping-token-file - < token\n"
                                "  kmsctl unwrap --wrapping-token-file token --out secret.json\n");
  const auto opened = Take(unwrap, session, UnwrapOne);
  unwrap
      .add_option("--wrapping-token-file", opened->token_file,
                  "Read the wrapping token from this file ('-': standard input) instead of asking")
      ->type_name("FILE");
  unwrap
      .add_option("-o,--out", opened->output_file,
                  "Write to this file, mode 0600, instead of standard output")
      ->type_name("FILE");
}

}  // namespace kms::tools
