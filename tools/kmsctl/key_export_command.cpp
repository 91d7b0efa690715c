// SPDX-License-Identifier: Apache-2.0
// kmsctl key export: a key in the clear, or wrapped for another service.
#include <openssl/crypto.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/key_transfer_commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct ExportArguments {
  std::string environment;
  std::string name;
  std::string type;
  std::string version = "latest";
  std::string format;
  std::string wrap_for;
  std::string output_file;

  [[nodiscard]] bool is_secret() const {
    return wrap_for.empty() && type != "public-key" && type != "certificate-chain";
  }
};

Result<std::string> PathOf(const ExportArguments& arguments) {
  if (arguments.type.empty() == arguments.wrap_for.empty()) {
    return InvalidArgument("give one of --type and --wrap-for: see `kmsctl key export --help`");
  }
  const std::string name = EncodePathSegment(arguments.name);
  std::string rest = arguments.wrap_for.empty()
                         ? "export/" + arguments.type + "/" + name
                         : "byok-export/" + EncodePathSegment(arguments.wrap_for) + "/" + name;
  if (arguments.version != "all") {
    rest += "/" + EncodePathSegment(arguments.version);
  }
  if (!arguments.format.empty()) {
    rest += "?format=" + arguments.format;
  }
  return EnvironmentPath(arguments.environment, rest);
}

// The strings of an answer, wiped where the JSON library keeps them.
class ExportedKeys {
 public:
  explicit ExportedKeys(nlohmann::json answer) : answer_(std::move(answer)) {}
  ~ExportedKeys() {
    ForEach([](const std::string& /*version*/, std::string& text) {
      OPENSSL_cleanse(text.data(), text.size());
    });
  }
  ExportedKeys(const ExportedKeys&) = delete;
  ExportedKeys& operator=(const ExportedKeys&) = delete;

  template <typename Use>
  void ForEach(const Use& use) {
    nlohmann::json& keys = answer_["data"]["keys"];
    for (auto& [version, text] : keys.items()) {
      if (text.is_string()) {
        use(version, text.template get_ref<std::string&>());
      }
    }
  }

 private:
  nlohmann::json answer_;
};

// One key as it is, with a line end; several as an object by version.
Status Write(OutputSink& sink, ExportedKeys& keys, bool as_object) {
  std::size_t size = 256;
  keys.ForEach([&size](const std::string&, const std::string& text) { size += 2 * text.size(); });
  JsonBody body(size);
  Status written = Ok();
  body.BeginObject();
  keys.ForEach([&](const std::string& version, const std::string& text) {
    body.AddText(version, text);
    if (!as_object && written) {
      written = sink.Write(AsBytes(text));
      if (written && !text.ends_with('\n')) {
        written = sink.Write(AsBytes("\n"));
      }
    }
  });
  body.EndObject();
  if (as_object) {
    written = sink.Write(AsBytes(body.View()));
    if (written) {
      written = sink.Write(AsBytes("\n"));
    }
  }
  return written;
}

Status Export(Session& session, const ExportArguments& arguments) {
  const std::string path = KMS_TRY(PathOf(arguments));
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  ExportedKeys keys(KMS_TRY(session.Call("GET", path)));
  if (arguments.is_secret() && sink.is_terminal()) {
    Note("kmsctl: warning: this is the key itself, and the terminal keeps it; use --out FILE");
  }
  KMS_TRY(Write(sink, keys, session.options.json || arguments.version == "all"));
  return sink.Commit();
}

}  // namespace

void AddKeyExport(CLI::App& family, Session& session) {
  CLI::App& command = AddCommand(
      family, "export", "Write a key, its public half, its certificates, or the key wrapped",
      "  kmsctl key export web --type public-key\n"
      "  kmsctl key export web --type signing-key --format pem --out web.pem\n"
      "  kmsctl key export cards --wrap-for other-site --version all > blobs.json\n");
  auto arguments = std::make_shared<ExportArguments>();
  AddEnvironmentOption(command, arguments->environment);
  command.add_option("KEY", arguments->name, "Name of the key")->required();
  command
      .add_option("--type", arguments->type,
                  "encryption-key, signing-key, hmac-key, public-key or certificate-chain; the "
                  "first three only of exportable keys")
      ->type_name("TYPE")
      ->check(CLI::IsMember(
          {"encryption-key", "signing-key", "hmac-key", "public-key", "certificate-chain"}));
  command
      .add_option("--wrap-for", arguments->wrap_for,
                  "Encrypt it to this RSA key of the environment, which may be another service's "
                  "wrapping key; the result goes into that one's import")
      ->type_name("KEY");
  command.add_option("--version", arguments->version, "A number, latest (default), or all as JSON")
      ->type_name("N");
  command.add_option("--format", arguments->format, "raw, der or pem; default: as the key type")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"raw", "der", "pem"}));
  command.add_option("-o,--out", arguments->output_file, "Write to this file, for you alone")
      ->type_name("FILE");
  OnParse(command, session, arguments, Export);
}

}  // namespace kms::tools
