// SPDX-License-Identifier: Apache-2.0
// kmsctl recover new-holder|show|share: what a recovery holder does, on a machine without network.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "kms/crypto/share_encryption.h"
#include "kms/keys/recovery_package.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/key_file.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/secret_input.h"

namespace kms::tools {

namespace {

struct RecoverArguments {
  std::string out;
  std::string package;
  std::string key;
  std::string passphrase_file;
  bool no_passphrase = false;
  std::vector<std::string> environments;
  bool yes = false;
};

Status WriteFile(const std::string& path, ByteView content) {
  OutputSink sink = KMS_TRY(OutputSink::Open(path));
  KMS_TRY(sink.Write(content));
  return sink.Commit();
}

Result<PlaintextBuffer> ReadFile(const std::string& path) {
  return ReadInput({.argument = std::nullopt, .file = path});
}

// ---- new-holder ---------------------------------------------------------------------------------

Result<SecretBytes> ReadNewPassphrase(const RecoverArguments& arguments) {
  const PlaintextBuffer first =
      KMS_TRY(ReadSecretLine(arguments.passphrase_file, "Passphrase of the new key: "));
  if (arguments.passphrase_file.empty()) {
    const PlaintextBuffer second = KMS_TRY(ReadSecretLine("", "The same again: "));
    if (!EqualInConstantTime(first.View(), second.View())) {
      return InvalidArgument("the two passphrases differ");
    }
  }
  return SecretBytes::CopyOf(first.View());
}

Status NewHolder(Session& session, const RecoverArguments& arguments) {
  const std::string public_file = arguments.out + ".pub";
  for (const std::string& file : {arguments.out, public_file}) {
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) {
      return InvalidArgument(file + " exists already; a holder's key is never overwritten");
    }
  }
  KMS_TRY(PrepareForKeys());
  const HolderPrivateKey key = KMS_TRY(HolderPrivateKey::Generate());
  SecretBytes pem;
  if (arguments.no_passphrase) {
    pem = KMS_TRY(key.ToPem());
  } else {
    const SecretBytes passphrase = KMS_TRY(ReadNewPassphrase(arguments));
    pem = KMS_TRY(key.ToEncryptedPem(passphrase));
  }
  KMS_TRY(WriteFile(arguments.out, pem.View()));
  KMS_TRY(WriteFile(public_file, AsBytes(HolderPublicKeyPem(key.public_key()))));
  const std::string fingerprint = HolderKeyFingerprint(key.public_key());
  if (session.options.json) {
    return Print(ToJsonLine({{"private_key", arguments.out},
                             {"public_key", public_file},
                             {"fingerprint", fingerprint}}) +
                 "\n");
  }
  return Print(RenderFields({{"private key", arguments.out + " (keep it offline)"},
                             {"public key", public_file + " (give it to the operator)"},
                             {"fingerprint", fingerprint}}));
}

// ---- packages -----------------------------------------------------------------------------------

Result<RecoveryPackage> ReadPackage(const std::string& path) {
  const PlaintextBuffer text = KMS_TRY(ReadFile(path));
  return RecoveryPackage::Parse(AsText(text.View()));
}

std::string HoldersOf(const SplitKey& key) {
  std::string names;
  for (const EncryptedShare& share : key.shares) {
    names += (names.empty() ? "" : ", ") + share.holder;
  }
  return names;
}

// Says what the package opens and whom it is for.
std::string Describe(const RecoveryPackage& package) {
  std::string text = RenderFields({
      {"ceremony", package.ceremony.ToString()},
      {"begun", TimeCell(package.created_unix_seconds)},
      {"its key", HolderKeyFingerprint(package.public_key)},
  });
  Table table{{"ENVIRONMENT", "KEY VERSION", "NEEDED", "HOLDERS"}, {}};
  for (const SplitKey& key : package.keys) {
    table.rows.push_back({Printable(key.environment), std::to_string(key.version),
                          std::to_string(key.threshold), HoldersOf(key)});
  }
  return text + "\n" + RenderTable(table);
}

Status ShowPackage(Session& session, const RecoverArguments& arguments) {
  KMS_TRY(PrepareForKeys());  // the ceremony's key is tried out
  const RecoveryPackage package = KMS_TRY(ReadPackage(arguments.package));
  if (!session.options.json) {
    return Print(Describe(package));
  }
  nlohmann::json keys = nlohmann::json::array();
  for (const SplitKey& key : package.keys) {
    keys.push_back({{"environment", Printable(key.environment)},
                    {"version", key.version},
                    {"threshold", key.threshold},
                    {"holders", HoldersOf(key)}});
  }
  return Print(ToJsonLine({{"ceremony", package.ceremony.ToString()},
                           {"fingerprint", HolderKeyFingerprint(package.public_key)},
                           {"created", package.created_unix_seconds},
                           {"keys", std::move(keys)}}) +
               "\n");
}

// ---- share --------------------------------------------------------------------------------------

Result<HolderPrivateKey> ReadHolderKey(const RecoverArguments& arguments) {
  const PlaintextBuffer pem = KMS_TRY(ReadFile(arguments.key));
  return HolderPrivateKey::FromPem(AsText(pem.View()), [&]() -> Result<SecretBytes> {
    const PlaintextBuffer passphrase =
        KMS_TRY(ReadSecretLine(arguments.passphrase_file, "Passphrase of your key: "));
    return SecretBytes::CopyOf(passphrase.View());
  });
}

std::string QuestionOf(const std::vector<HeldShare>& held, const RecoveryPackage& package) {
  std::set<std::string> opened;
  for (const HeldShare& each : held) {
    opened.insert(Printable(each.key->environment));
  }
  std::string names;
  for (const std::string& name : opened) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return "Did the operator read you this fingerprint, by voice: " +
         HolderKeyFingerprint(package.public_key) +
         " ?\nYour answer lets whoever holds its private key open " + names +
         ", together with the other holders' answers. Give it?";
}

Status Share(Session& session, const RecoverArguments& arguments) {
  KMS_TRY(PrepareForKeys());
  const RecoveryPackage package = KMS_TRY(ReadPackage(arguments.package));
  const HolderPrivateKey key = KMS_TRY(ReadHolderKey(arguments));
  const SplitKeyFilter wanted = [&](const SplitKey& split) {
    return arguments.environments.empty() ||
           std::ranges::find(arguments.environments, split.environment) !=
               arguments.environments.end();
  };
  const std::vector<HeldShare> held = SharesOf(package, key.public_key(), wanted);
  if (!session.options.json) {
    Note(Describe(package));
  }
  if (!held.empty()) {
    KMS_TRY(Confirm(QuestionOf(held, package), arguments.yes));
  }
  const RecoveryAnswer answer = KMS_TRY(AnswerPackage(package, key, wanted));
  KMS_TRY(WriteFile(arguments.out, AsBytes(answer.ToJson())));
  if (session.options.json) {
    return Print(ToJsonLine({{"answer", arguments.out},
                             {"ceremony", package.ceremony.ToString()},
                             {"fingerprint", HolderKeyFingerprint(package.public_key)},
                             {"shares", answer.shares.size()}}) +
                 "\n");
  }
  return Print("wrote " + std::to_string(answer.shares.size()) + " shares to " + arguments.out +
               "; give the file to the operator\n");
}

using Verb = Status (*)(Session&, const RecoverArguments&);

std::shared_ptr<RecoverArguments> Bind(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<RecoverArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

void AddPackageOption(CLI::App& command, RecoverArguments& arguments) {
  command.add_option("--package", arguments.package, "The package that `kmsd recover begin` wrote")
      ->required()
      ->type_name("FILE");
}

}  // namespace

void AddRecoverCommands(CLI::App& root, Session& session) {
  CLI::App& family =
      AddCommand(root, "recover", "For recovery holders: offline, without a server",
                 "  kmsctl recover new-holder --out alice.pem\n"
                 "  kmsctl recover share --package P.json --key alice.pem --out alice.json\n");
  family.require_subcommand(1);

  CLI::App& made = AddCommand(family, "new-holder", "Make a holder's key pair (X25519)",
                              "  kmsctl recover new-holder --out alice.pem\n");
  const auto making = Bind(made, session, NewHolder);
  made.add_option("--out", making->out, "The private key; FILE.pub gets the public one")
      ->required()
      ->type_name("FILE");
  made.add_option("--passphrase-file", making->passphrase_file,
                  "Its first line instead of asking; - is standard input")
      ->type_name("FILE");
  made.add_flag("--no-passphrase", making->no_passphrase,
                "Leave the private key unencrypted, for a store that protects it");

  CLI::App& show = AddCommand(family, "show", "What a package opens and by whom",
                              "  kmsctl recover show --package P.json\n");
  AddPackageOption(show, *Bind(show, session, ShowPackage));

  CLI::App& share = AddCommand(
      family, "share", "Open your shares and hand them to the ceremony, encrypted to its key",
      "  kmsctl recover share --package P.json --key alice.pem --out alice.json\n"
      "  kmsctl recover share --package P.json --key alice.pem --env prod --out alice.json\n");
  const auto sharing = Bind(share, session, Share);
  AddPackageOption(share, *sharing);
  share.add_option("--key", sharing->key, "Your private key (PEM)")->required()->type_name("FILE");
  share
      .add_option("--passphrase-file", sharing->passphrase_file,
                  "Its first line instead of asking; - is standard input")
      ->type_name("FILE");
  share
      .add_option("--env", sharing->environments, "Only this environment; repeat it; sys is needed")
      ->type_name("ENV");
  share.add_option("--out", sharing->out, "Your answer")->required()->type_name("FILE");
  AddYesOption(share, sharing->yes);
}

}  // namespace kms::tools
