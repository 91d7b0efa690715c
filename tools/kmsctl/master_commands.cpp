// SPDX-License-Identifier: Apache-2.0
// kmsctl master list|rotate|retire|statements|statement|verify-statement, env
// rotate-key|rotate-all: versions of master and environment keys.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "kms/base/digest.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/signature.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/task_progress.h"

namespace kms::tools {

namespace {

struct MasterArguments {
  std::string environment;
  std::string to_token;
  std::int64_t version = 0;
  std::optional<std::int64_t> rate;
  bool dry_run = false;
  bool detach = false;
  bool yes = false;
  std::string statement;
  std::string file;
  std::string public_key_file;
};

std::string PathOf(const MasterArguments& arguments, const char* verb) {
  return "/v1/sys/environments/" + EncodePath(arguments.environment) + "/" + verb;
}

nlohmann::json BodyOf(const MasterArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.dry_run) {
    body["dry_run"] = true;
  }
  if (arguments.rate) {
    body["rate"] = *arguments.rate;
  }
  return body;
}

// ---- versions -----------------------------------------------------------------------------------

std::string VersionsCell(const nlohmann::json& member) {
  std::string text;
  for (const nlohmann::json& version :
       member.value("master_key_versions", nlohmann::json::array())) {
    text += (text.empty() ? "" : ", ") + version.dump();
  }
  return text.empty() ? "-" : text;
}

Status ListMasters(Session& session, const MasterArguments& /*arguments*/) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", "/v1/sys/environments/status"));
  const nlohmann::json environments = DataOf(answer).value("environments", nlohmann::json::array());
  if (session.options.json) {
    return Print(ToJsonLine(environments) + "\n");
  }
  Table table{{"ENVIRONMENT", "CURRENT", "ENV KEY", "HSM", "VERSIONS", "MISSING WRAPS", "STATE"},
              {}};
  for (const nlohmann::json& environment : environments) {
    const nlohmann::json members = environment.value("members", nlohmann::json::array());
    if (members.empty()) {
      table.rows.push_back({Cell(environment, "name"), Cell(environment, "master_key_version"),
                            Cell(environment, "environment_key_version"), "-", "-", "-", "-"});
    }
    for (const nlohmann::json& member : members) {
      table.rows.push_back({Cell(environment, "name"), Cell(environment, "master_key_version"),
                            Cell(environment, "environment_key_version"), Cell(member, "hsm"),
                            VersionsCell(member), Cell(member, "missing_wraps"),
                            Cell(member, "state")});
    }
  }
  return Print(RenderTable(table));
}

Status RotateMaster(Session& session, const MasterArguments& arguments) {
  nlohmann::json body = BodyOf(arguments);
  if (!arguments.to_token.empty()) {
    body["to_hsm"] = arguments.to_token;
  }
  return StartAndFollow(session, PathOf(arguments, "rotate-master"), body, arguments.detach);
}

Status RotateEnvironmentKey(Session& session, const MasterArguments& arguments) {
  return StartAndFollow(session, PathOf(arguments, "rotate-key"), BodyOf(arguments),
                        arguments.detach);
}

Status RotateEverything(Session& session, const MasterArguments& arguments) {
  return StartAndFollow(session, PathOf(arguments, "rotate-everything"), BodyOf(arguments),
                        arguments.detach);
}

Status RetireMaster(Session& session, const MasterArguments& arguments) {
  if (!arguments.dry_run) {
    KMS_TRY(Confirm("Destroy master key version " + std::to_string(arguments.version) +
                        " of environment " + arguments.environment +
                        " in its HSMs? Copies of the store that need it can never be opened again.",
                    arguments.yes));
  }
  nlohmann::json body = BodyOf(arguments);
  body["version"] = arguments.version;
  KMS_TRY(StartAndFollow(session, PathOf(arguments, "retire-master"), body, arguments.detach));
  if (!arguments.dry_run && !session.options.json) {
    Note("the signed statement is kept by the server: kmsctl master statements");
  }
  return Ok();
}

// ---- statements ---------------------------------------------------------------------------------

Status ListStatements(Session& session, const MasterArguments& /*arguments*/) {
  const Result<nlohmann::json> answer = session.Call("LIST", "/v1/sys/statements");
  nlohmann::json info = nlohmann::json::object();
  if (answer.has_value()) {
    info = DataOf(*answer).value("key_info", nlohmann::json::object());
  } else if (answer.error().code != ErrorCode::kNotFound) {
    return answer.error();
  }
  if (session.options.json) {
    return Print(ToJsonLine(info) + "\n");
  }
  if (info.empty()) {
    Note("no master key was destroyed");
    return Ok();
  }
  Table table{{"STATEMENT", "ENVIRONMENT", "VERSION", "DESTROYED"}, {}};
  for (const auto& [id, statement] : info.items()) {
    const nlohmann::json text =
        nlohmann::json::parse(TextOf(statement, "statement"), nullptr, /*allow_exceptions=*/false);
    table.rows.push_back({Printable(id), Cell(statement, "environment"),
                          Cell(statement, "master_key_version"),
                          text.is_object() ? Cell(text, "destroyed") : "-"});
  }
  return Print(RenderTable(table));
}

Status ReadStatement(Session& session, const MasterArguments& arguments) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("GET", "/v1/sys/statements/" + EncodePathSegment(arguments.statement)));
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.file));
  KMS_TRY(sink.Write(AsBytes(ToJsonLine(DataOf(answer)) + "\n")));
  return sink.Commit();
}

Result<nlohmann::json> ReadJsonFile(const std::string& file) {
  const PlaintextBuffer content = KMS_TRY(ReadInput({.argument = std::nullopt, .file = file}));
  nlohmann::json parsed =
      nlohmann::json::parse(AsText(content.View()), nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return InvalidArgument(file + " is not a statement as `kmsctl master statement` writes it");
  }
  return parsed;
}

Result<AsymmetricKey> AuditKey(const nlohmann::json& statement, const MasterArguments& arguments) {
  if (!arguments.public_key_file.empty()) {
    const PlaintextBuffer pem =
        KMS_TRY(ReadInput({.argument = std::nullopt, .file = arguments.public_key_file}));
    return ImportPublicKey(AsymmetricAlgorithm::kEcdsaP256, AsText(pem.View()));
  }
  const Bytes der = KMS_TRY(Base64Decode(TextOf(statement, "public_key")));
  return ImportPublicKeyDer(AsymmetricAlgorithm::kEcdsaP256, der);
}

Status VerifyStatement(Session& session, const MasterArguments& arguments) {
  const nlohmann::json statement = KMS_TRY(ReadJsonFile(arguments.file));
  const std::string text(TextOf(statement, "statement"));
  const Bytes signature = KMS_TRY(Base64Decode(TextOf(statement, "signature")));
  const AsymmetricKey key = KMS_TRY(AuditKey(statement, arguments));
  const Result<bool> verified = VerifySignature(key, {}, AsBytes(text), signature);
  if (!verified.has_value() || !*verified) {
    return FailedPrecondition("the signature is not one of this statement by that key");
  }
  const Bytes der = KMS_TRY(key.PublicKey());
  const std::string fingerprint = HexEncode(Sha256(der));
  if (arguments.public_key_file.empty()) {
    Note(
        "verified by the key in the file itself: compare its fingerprint with that of your HSM's "
        "audit key, or give --public-key");
  }
  if (session.options.json) {
    return Print(ToJsonLine({{"verified", true}, {"key_sha256", fingerprint}}) + "\n");
  }
  return Print("verified, key SHA-256 " + fingerprint + "\n" + Printable(text) + "\n");
}

// ---- command line -------------------------------------------------------------------------------

using Verb = Status (*)(Session&, const MasterArguments&);

std::shared_ptr<MasterArguments> Run(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<MasterArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

void AddTaskOptions(CLI::App& command, MasterArguments& arguments) {
  command.add_flag("--dry-run", arguments.dry_run, "Say what would be done, change nothing");
  command.add_flag("--detach", arguments.detach, "Do not wait for the end");
}

void AddRateOption(CLI::App& command, MasterArguments& arguments) {
  command
      .add_option("--rate", arguments.rate,
                  "At most so many entries per second, 3000 if not given, 0: no limit; `kmsctl task "
                  "throttle` changes it later")
      ->type_name("N");
}

void AddStatementVerbs(CLI::App& family, Session& session) {
  Run(AddCommand(family, "statements", "List what was destroyed", "  kmsctl master statements\n"),
      session, ListStatements);
  CLI::App& read = AddCommand(family, "statement", "Fetch the signed statement of a destruction",
                              "  kmsctl master statement ID --out destroyed.json\n");
  const auto reading = Run(read, session, ReadStatement);
  read.add_option("ID", reading->statement, "As kmsctl master statements shows it")->required();
  read.add_option("--out", reading->file, "Write it there; default standard output")
      ->type_name("FILE");
  CLI::App& verify =
      AddCommand(family, "verify-statement", "Check a statement, without a server",
                 "  kmsctl master verify-statement destroyed.json --public-key audit.pem\n"
                 "  # the same by other tools:\n"
                 "  jq -j .statement destroyed.json > text; jq -r .signature destroyed.json | "
                 "base64 -d > sig\n"
                 "  openssl dgst -sha256 -verify audit.pem -signature sig text\n");
  const auto verifying = Run(verify, session, VerifyStatement);
  verify.add_option("FILE", verifying->file, "As `kmsctl master statement` wrote it")->required();
  verify
      .add_option("--public-key", verifying->public_key_file,
                  "PEM of the HSM's audit key, as it was noted when the HSM was set up")
      ->type_name("FILE");
}

}  // namespace

void AddMasterCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "master", "Master keys: their versions in the HSMs",
                                "  kmsctl master list\n  kmsctl master rotate --env prod\n");
  family.require_subcommand(1);
  Run(AddCommand(family, "list", "List master key versions by environment and HSM",
                 "  kmsctl master list\n"),
      session, ListMasters);

  CLI::App& rotate = AddCommand(family, "rotate", "Make the next master key and put it to use",
                                "  kmsctl master rotate --env prod --dry-run\n"
                                "  kmsctl master rotate --env prod\n"
                                "  kmsctl master rotate --env prod --to-token new-hsm\n");
  const auto rotating = Run(rotate, session, RotateMaster);
  AddEnvironmentOption(rotate, rotating->environment);
  rotate
      .add_option("--to-token", rotating->to_token,
                  "Join this HSM first: its name in the configuration, or its token's label")
      ->type_name("NAME");
  AddTaskOptions(rotate, *rotating);
  AddRateOption(rotate, *rotating);

  CLI::App& retire = AddCommand(family, "retire", "Destroy an old master key that nothing needs",
                                "  kmsctl master retire --env prod --version 1 --dry-run\n"
                                "  kmsctl master retire --env prod --version 1 --yes\n");
  const auto retiring = Run(retire, session, RetireMaster);
  AddEnvironmentOption(retire, retiring->environment);
  retire.add_option("--version", retiring->version, "The version")->type_name("N")->required();
  AddTaskOptions(retire, *retiring);
  AddYesOption(retire, retiring->yes);

  AddStatementVerbs(family, session);
}

void AddRotateEnvironmentKeyCommand(CLI::App& root, Session& session) {
  CLI::App& family = *root.get_subcommand("env");
  CLI::App& rotate = AddCommand(family, "rotate-key",
                                "Make a new environment key and seal every entry again under it",
                                "  kmsctl env rotate-key --env prod --dry-run\n"
                                "  kmsctl env rotate-key --env prod --rate 2000\n");
  const auto rotating = Run(rotate, session, RotateEnvironmentKey);
  AddEnvironmentOption(rotate, rotating->environment);
  AddTaskOptions(rotate, *rotating);
  AddRateOption(rotate, *rotating);

  CLI::App& all = AddCommand(
      family, "rotate-all",
      "After a leak: a new version of every key, of the environment key and of the master key",
      "  kmsctl env rotate-all --env prod --dry-run    # the census of what is old\n"
      "  kmsctl env rotate-all --env prod\n");
  const auto everything = Run(all, session, RotateEverything);
  AddEnvironmentOption(all, everything->environment);
  AddTaskOptions(all, *everything);
  AddRateOption(all, *everything);
}

}  // namespace kms::tools
