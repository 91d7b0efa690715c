// SPDX-License-Identifier: Apache-2.0
// kmsctl: parses the command line, runs one command, turns its error into text and exit status.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/exit_status.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr const char* kRootHelp =
    "Examples:\n"
    "  kmsctl status\n"
    "  kmsctl key create orders\n"
    "  kmsctl encrypt orders 'hello' | kmsctl decrypt orders\n"
    "  kmsctl key rotate orders\n"
    "  kmsctl key list -e prod --json\n"
    "\n"
    "The token comes from --token-file, else KMS_TOKEN, else VAULT_TOKEN, else ~/.kms-token, where\n"
    "`kmsctl login` keeps it; never from an argument, because others on the machine can read those.\n"
    "KMS_ENV names the default environment.\n"
    "\n";

void AddGlobalOptions(CLI::App& root, GlobalOptions& options) {
  root.add_option("--address", options.address,
                  "Server; default KMS_ADDR, VAULT_ADDR, http://127.0.0.1:8200")
      ->type_name("URL");
  root.add_option("--token-file", options.token_file, "Read the token from this file")
      ->type_name("FILE");
  root.add_option("--ca-file", options.ca_file,
                  "CA certificates for https; default KMS_CACERT, VAULT_CACERT, the system's")
      ->type_name("FILE");
  root.add_option("--client-cert", options.client_certificate_file,
                  "Certificate to present over https, with its chain; default KMS_CLIENT_CERT, "
                  "VAULT_CLIENT_CERT")
      ->type_name("FILE");
  root.add_option("--client-key", options.client_key_file,
                  "Its private key; default KMS_CLIENT_KEY, VAULT_CLIENT_KEY, the same file")
      ->type_name("FILE");
  root.add_option("--timeout", options.timeout_seconds, "Wait this long for an answer; default 30")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 3600));
  root.add_flag("--json", options.json, "Print JSON, errors included");
}

// One value each time an option is given: the word after it may be a name that stands alone.
void TakeOneValueEach(CLI::App& command) {
  for (CLI::Option* const option :
       command.get_options([](CLI::Option* each) { return each->nonpositional(); })) {
    option->allow_extra_args(false);
  }
  for (CLI::App* const verb : command.get_subcommands([](CLI::App*) { return true; })) {
    TakeOneValueEach(*verb);
  }
}

void ReportError(const Error& error, ExitStatus status, bool json) {
  if (!json) {
    Note("kmsctl: " + error.public_message);
    return;
  }
  Note(ToJsonLine({{"error",
                    {{"status", ExitStatusName(status)},
                     {"exit_status", static_cast<int>(status)},
                     {"message", error.public_message}}}}));
}

int ParseFailure(const CLI::App& root, const CLI::ParseError& failure) {
  const bool asked_for_help = root.exit(failure, std::cout, std::cerr) == 0;
  return static_cast<int>(asked_for_help ? ExitStatus::kOk : ExitStatus::kUsage);
}

int Run(int argc, char** argv) {
  CLI::App root("kmsctl administers and uses the key service kmsd.", "kmsctl");
  Session session;
  root.footer(kRootHelp + ExitStatusHelp());
  root.require_subcommand(1);
  AddGlobalOptions(root, session.options);
  AddStatusCommands(root, session);
  AddEnvironmentCommands(root, session);
  AddKeyCommands(root, session);
  AddKeyTransferCommands(root, session);
  AddDataCommands(root, session);
  AddDataKeyCommand(root, session);
  AddKeylessCommands(root, session);
  AddHmacCommands(root, session);
  AddSignCommands(root, session);
  AddLoginCommands(root, session);
  AddClientCertificateCommands(root, session);
  AddLimitsCommands(root, session);
  AddPolicyCommands(root, session);
  AddAuthCommands(root, session);
  AddAppRoleCommands(root, session);
  AddJwtCommands(root, session);
  AddUserCommands(root, session);
  AddTokenCommands(root, session);
  AddApprovalCommands(root, session);
  AddWrappingCommands(root, session);
  AddHsmCommands(root, session);
  AddMasterCommands(root, session);
  AddRotateEnvironmentKeyCommand(root, session);
  AddTaskCommands(root, session);
  AddScrubCommands(root, session);
  AddRecoverCommands(root, session);
  AddBackupCommands(root, session);
  AddMigrateCommand(root, session);
  AddCompletionCommand(root, session);
  TakeOneValueEach(root);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return ParseFailure(root, failure);
  }
  const Status outcome = session.command();
  if (outcome.has_value()) {
    return static_cast<int>(ExitStatus::kOk);
  }
  const ExitStatus status = session.waits_for_approval ? ExitStatus::kWaiting
                                                       : ExitStatusOf(outcome.error().code);
  ReportError(outcome.error(), status, session.options.json);
  return static_cast<int>(status);
}

}  // namespace

}  // namespace kms::tools

int main(int argc, char** argv) {
  // Plaintext and tokens must not land in a core file; a closed pipe is an error, not a death.
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return kms::tools::Run(argc, argv);
  } catch (const std::exception& failure) {
    kms::tools::Note(std::string("kmsctl: unexpected failure: ") + failure.what());
    return static_cast<int>(kms::tools::ExitStatus::kOther);
  }
}
