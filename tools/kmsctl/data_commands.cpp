// SPDX-License-Identifier: Apache-2.0
// kmsctl encrypt, decrypt, rewrap: one input, or many lines in batches.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tools/kmsctl/checksums.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/data_verb.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/line_batches.h"
#include "tools/kmsctl/message_verb.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct DataArguments {
  std::string environment;
  std::string key;
  InputSource input;
  std::string output_file;
  std::string aad;
  std::string aad_file;
  DataParameters parameters;
  bool lines = false;
  bool base64 = false;
  bool no_checksums = false;
  std::size_t batch_size = LineBatchOptions{}.lines_per_batch;
};

std::string VerbPath(const DataVerb& verb, const DataArguments& arguments) {
  return EnvironmentPath(arguments.environment,
                         std::string(verb.name) + "/" + EncodePathSegment(arguments.key));
}

Result<DataParameters> ParametersOf(const DataArguments& arguments) {
  DataParameters parameters = arguments.parameters;
  parameters.checksums = !arguments.no_checksums;
  parameters.associated_data = arguments.aad;
  if (!arguments.aad_file.empty()) {
    const PlaintextBuffer content = KMS_TRY(ReadInput({std::nullopt, arguments.aad_file}));
    parameters.associated_data = AsText(content.View());
  }
  return parameters;
}

Status WriteJson(OutputSink& sink, const DataVerb& verb, ByteView output,
                 const nlohmann::json& data) {
  JsonBody body(output.size() + 256);
  body.BeginObject();
  body.AddText(verb.output_field, AsText(output));
  if (const auto version = data.find("key_version");
      version != data.end() && version->is_number_integer()) {
    body.AddNumber("key_version", version->get<std::int64_t>());
  }
  body.EndObject();
  KMS_TRY(sink.Write(AsBytes(body.View())));
  return sink.Write(AsBytes("\n"));
}

Status WriteOutput(OutputSink& sink, const DataVerb& verb, ByteView output, bool is_text) {
  KMS_TRY(sink.Write(output));
  // A plaintext leaves exactly as it went in, except on a terminal.
  if (is_text || (verb.output_is_plaintext && sink.is_terminal())) {
    return sink.Write(AsBytes("\n"));
  }
  return Ok();
}

Status RunOne(Session& session, const DataVerb& verb, const DataArguments& arguments) {
  const DataParameters parameters = KMS_TRY(ParametersOf(arguments));
  const PlaintextBuffer input = KMS_TRY(ReadInput(arguments.input));
  JsonBody body(Base64EncodedSize(input.size()) +
                Base64EncodedSize(parameters.associated_data.size()) +
                Base64EncodedSize(parameters.context.size()) + 512);
  body.BeginObject();
  AddInput(body, verb, AsText(input.View()), parameters);
  body.EndObject();

  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  nlohmann::json answer = KMS_TRY(session.CallRaw("POST", VerbPath(verb, arguments), body.View()));
  const bool keep_base64 = arguments.base64 || session.options.json;
  if (!answer.contains("data") || !answer["data"].is_object()) {
    answer["data"] = nlohmann::json::object();
  }
  if (parameters.checksums &&
      KMS_TRY(CheckAnswer(answer["data"], verb, parameters)) == ChecksumAnswer::kUnknownToServer) {
    NoteUnknownChecksums();
  }
  const PlaintextBuffer output = KMS_TRY(TakeOutput(answer["data"], verb, keep_base64));
  if (session.options.json) {
    KMS_TRY(WriteJson(sink, verb, output.View(), answer["data"]));
  } else {
    KMS_TRY(WriteOutput(sink, verb, output.View(), !verb.output_is_plaintext || keep_base64));
  }
  return sink.Commit();
}

Status RunLines(Session& session, const DataVerb& verb, const DataArguments& arguments) {
  const DataParameters parameters = KMS_TRY(ParametersOf(arguments));
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  const LineBatchOptions options{arguments.batch_size, arguments.base64, session.options.json};
  LineBatches batches(session, verb, VerbPath(verb, arguments), parameters, options, sink);
  KMS_TRY(ForEachLine(arguments.input,
                      [&batches](std::string_view line) { return batches.Add(line); }));
  const Status finished = batches.Finish();
  if (!finished.has_value() && finished.error().code != ErrorCode::kFailedPrecondition) {
    return finished;
  }
  KMS_TRY(sink.Commit());
  return finished;
}

CLI::App& AddVerb(CLI::App& root, Session& session, const DataVerb& verb,
                  const std::string& description, const std::string& examples,
                  std::shared_ptr<DataArguments>& arguments) {
  CLI::App& command = AddCommand(root, std::string(verb.name), description, examples);
  arguments = std::make_shared<DataArguments>();
  DataArguments& taken = *arguments;
  AddEnvironmentOption(command, taken.environment);
  command.add_option("KEY", taken.key, "Name of the key")->required();
  AddInputOptions(command, verb.input_is_plaintext ? "PLAINTEXT" : "CIPHERTEXT", taken.input);
  command
      .add_option("-o,--out", taken.output_file,
                  "Write the result to this file (mode 0600), whole or not at all")
      ->type_name("FILE");
  command.add_option("--aad", taken.aad, "Associated data: the same to encrypt and to decrypt")
      ->type_name("TEXT");
  command.add_option("--aad-file", taken.aad_file, "Associated data from this file")
      ->type_name("FILE")
      ->excludes("--aad");
  command
      .add_option("--context", taken.parameters.context,
                  "What a derived key derives from: the same to encrypt and to decrypt")
      ->type_name("TEXT");
  command.add_flag("--no-checksums", taken.no_checksums,
                   "Do not have input and result verified from end to end");
  command.add_flag("--lines", taken.lines, "One input per line, one result per line, in batches");
  command.add_option("--batch-size", taken.batch_size, "Lines per request with --lines")
      ->type_name("N")
      ->check(CLI::Range(1, 10000));
  command.callback([&session, &verb, arguments] {
    session.command = [&session, &verb, arguments] {
      return arguments->lines ? RunLines(session, verb, *arguments)
                              : RunOne(session, verb, *arguments);
    };
  });
  return command;
}

void AddKeyVersion(CLI::App& command, DataArguments& arguments) {
  command
      .add_option("--key-version", arguments.parameters.key_version,
                  "Encrypt with this version instead of the latest")
      ->type_name("N");
}

}  // namespace

void AddDataCommands(CLI::App& root, Session& session) {
  std::shared_ptr<DataArguments> arguments;
  CLI::App& encrypt = AddVerb(
      root, session, kEncrypt, "Encrypt: plaintext in, ciphertext out",
      "  kmsctl encrypt orders 'credit card 4111'     (others on this machine see arguments)\n"
      "  kmsctl encrypt orders --in photo.jpg --out photo.enc\n"
      "  tar c data | kmsctl encrypt backups -e prod > data.enc\n"
      "  kmsctl encrypt orders --lines --in plain.txt --out encrypted.txt\n"
      "  kmsctl encrypt orders --context tenant-42 --in row.txt    (a derived key)\n",
      arguments);
  AddKeyVersion(encrypt, *arguments);

  CLI::App& decrypt = AddVerb(root, session, kDecrypt, "Decrypt: ciphertext in, plaintext out",
                              "  kmsctl decrypt orders vault:v1:oKGio6Sl...\n"
                              "  kmsctl decrypt orders --in photo.enc --out photo.jpg\n"
                              "  kmsctl decrypt orders --lines --in encrypted.txt --base64\n",
                              arguments);
  decrypt.add_flag("--base64", arguments->base64, "Print the plaintext in base64");

  CLI::App& rewrap = AddVerb(root, session, kRewrap,
                             "Move ciphertext to the latest key version; plaintext stays inside",
                             "  kmsctl rewrap orders vault:v1:oKGio6Sl...\n"
                             "  kmsctl rewrap orders --lines --in column.txt --out column.txt\n",
                             arguments);
  AddKeyVersion(rewrap, *arguments);
}

}  // namespace kms::tools
