// SPDX-License-Identifier: Apache-2.0
// kmsctl key csr, key set-certificate.
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct CertificateArguments {
  std::string environment;
  std::string name;
  std::int64_t version = 0;
  std::string input_file;
  std::string output_file;
};

Result<nlohmann::json> BodyOf(const CertificateArguments& arguments, const char* member) {
  nlohmann::json body = nlohmann::json::object();
  if (!arguments.input_file.empty()) {
    const PlaintextBuffer pem = KMS_TRY(ReadInput({std::nullopt, arguments.input_file}));
    body[member] = std::string(AsText(pem.View()));
  }
  if (arguments.version != 0) {
    body["version"] = arguments.version;
  }
  return body;
}

Status RequestCertificate(Session& session, const CertificateArguments& arguments) {
  const nlohmann::json body = KMS_TRY(BodyOf(arguments, "csr"));
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  const nlohmann::json answer = KMS_TRY(
      session.Call("POST", KeyVerbPath(arguments.environment, arguments.name, "/csr"), body));
  const nlohmann::json& data = DataOf(answer);
  const std::string text =
      session.options.json ? ToJsonLine(data) + "\n" : data.value("csr", std::string());
  KMS_TRY(sink.Write(AsBytes(text)));
  return sink.Commit();
}

Status SetCertificate(Session& session, const CertificateArguments& arguments) {
  const nlohmann::json body = KMS_TRY(BodyOf(arguments, "certificate_chain"));
  const nlohmann::json answer = KMS_TRY(session.Call(
      "POST", KeyVerbPath(arguments.environment, arguments.name, "/set-certificate"), body));
  if (session.options.json) {
    return Print(ToJsonLine(DataOf(answer)) + "\n");
  }
  return Print("set the certificate of key " + arguments.name + " in " + arguments.environment +
               "\n");
}

std::shared_ptr<CertificateArguments> TakeShared(CLI::App& command, Session& session,
                                                 Status (*run)(Session&,
                                                               const CertificateArguments&)) {
  auto arguments = std::make_shared<CertificateArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->name, "Name of the key")->required();
  command.add_option("--version", arguments->version, "Version of the key; default the latest")
      ->type_name("N");
  OnParse(command, session, arguments, run);
  return arguments;
}

}  // namespace

void AddKeyCertificates(CLI::App& family, Session& session) {
  CLI::App& csr = AddCommand(family, "csr", "A certificate signing request signed by the key",
                             "  kmsctl key csr web --template web.csr --out signed.csr\n");
  const auto requested = TakeShared(csr, session, RequestCertificate);
  csr.add_option("--template", requested->input_file,
                 "PEM request whose subject and extensions are kept; default: an empty subject")
      ->type_name("FILE");
  csr.add_option("-o,--out", requested->output_file, "Write to this file")->type_name("FILE");

  CLI::App& set = AddCommand(family, "set-certificate",
                             "Keep the certificate of a key, and those of its issuers, with it",
                             "  kmsctl key set-certificate web --chain web-chain.pem\n");
  const auto kept = TakeShared(set, session, SetCertificate);
  set.add_option("--chain", kept->input_file, "PEM certificates, the key's own first")
      ->type_name("FILE")
      ->required();
}

}  // namespace kms::tools
