// SPDX-License-Identifier: Apache-2.0
// kmsd: `serve`, `dev` and the worker processes it starts for itself.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "api/config/config.h"
#include "api/dev.h"
#include "api/hsm_test.h"
#include "api/process.h"
#include "api/recover.h"
#include "api/restore.h"
#include "api/serve.h"
#include "api/service_log.h"
#include "api/state_directory.h"
#include "api/verify_audit.h"
#include "api/worker_main.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/self_test.h"

namespace kms::api {
namespace {

constexpr int kExitStartFailed = 1;
constexpr int kExitUsage = 2;

int Report(const Status& status) {
  if (status.has_value()) {
    return 0;
  }
  StopServiceLog();
  std::fprintf(stderr, "kmsd: %s\n", status.error().public_message.c_str());
  if (!status.error().detail.empty()) {
    std::fprintf(stderr, "kmsd: detail: %s\n", status.error().detail.c_str());
  }
  return status.error().code == ErrorCode::kInvalidArgument ? kExitUsage : kExitStartFailed;
}

// What every command that serves does before it reads a secret.
Status PrepareProcess(const Config& config) {
  BlockStopSignals();
  KMS_TRY(HardenProcess());
  KMS_TRY(InitializeSecretMemory(config.limits.secret_memory_bytes));
  KMS_TRY(RunCryptoSelfTest());
  StartServiceLog(config.log);
  return Ok();
}

Status RunServe(const std::string& path, bool accept_rollback) {
  const Config config = KMS_TRY(LoadConfig(path));
  KMS_TRY(ValidateConfig(config));
  KMS_TRY(PrepareProcess(config));
  ServeOptions options;
  options.accept_rollback = accept_rollback;
  options.reload_config = [&path]() -> Result<Config> {
    Config again = KMS_TRY(LoadConfig(path));
    KMS_TRY(ValidateConfig(again));
    return again;
  };
  return Serve(config, options);
}

Status RunRecover(const std::string& path, const RecoverBeginOptions* begin,
                  const RecoverFinishOptions* finish) {
  const Config config = KMS_TRY(LoadConfig(path));
  KMS_TRY(ValidateConfig(config));
  KMS_TRY(PrepareProcess(config));
  const Status done =
      begin != nullptr ? RecoverBegin(config, *begin) : RecoverFinish(config, *finish);
  StopServiceLog();
  return done;
}

Status RunRestore(const std::string& path, const RestoreCommand& command) {
  const Config config = KMS_TRY(LoadConfig(path));
  KMS_TRY(ValidateConfig(config));
  KMS_TRY(PrepareProcess(config));
  const Status done = Restore(config, command);
  StopServiceLog();
  return done;
}

CLI::App* AddRestore(CLI::App& app, std::string& config_path, RestoreCommand& command) {
  CLI::App* restore = app.add_subcommand(
      "restore", "Put a backup in the place of the store; the service is stopped");
  restore->add_option("--config", config_path, "as of serve")->required();
  restore->add_option("--from", command.from, "file written by kmsctl backup create")->required();
  restore->add_flag("--accept-rollback", command.accept_rollback,
                    "the backup may be older than what is there");
  restore->add_flag("--without-hsm", command.without_hsm,
                    "verify the checksum alone, because no HSM opens it: kmsd recover comes next");
  restore->add_flag("--dry-run", command.dry_run, "prove that it can be restored, change nothing");
  return restore;
}

// Adds `recover begin|finish`.
void AddRecover(CLI::App& app, std::string& config_path, RecoverBeginOptions& begin,
                RecoverFinishOptions& finish) {
  CLI::App* recover = app.add_subcommand(
      "recover", "Open environments by their recovery holders when no HSM does; the service is stopped");
  recover->require_subcommand(1);
  CLI::App* begins = recover->add_subcommand("begin", "Write the package for the holders");
  begins->add_option("--config", config_path, "as of serve")->required();
  begins->add_option("--package", begin.package, "file to write")->required();
  CLI::App* finishes = recover->add_subcommand(
      "finish", "Combine the holders' answers and put the keys under the configured HSMs");
  finishes->add_option("--config", config_path, "as of serve")->required();
  finishes->add_option("--package", finish.package, "as written by begin")->required();
  finishes->add_option("answers", finish.answers, "the holders' files")->required();
  finishes->add_option("--env", finish.environments, "only this environment; repeat it; sys is one")
      ->allow_extra_args(false);
  finishes->add_option("--hsm", finish.hsms, "only this configured HSM; repeat it")
      ->allow_extra_args(false);
  finishes->add_flag("--dry-run", finish.dry_run, "open and prove the keys, change nothing");
}

Status RunDevelopment(const DevOptions& options) {
  KMS_TRY(PrepareProcess(Config{}));
  return RunDev(options);
}

CLI::App* AddHsmTestCommand(CLI::App& app, HsmTestOptions& options) {
  CLI::App* test = app.add_subcommand(
      "hsm-test", "Find out whether a PKCS#11 token can be relied on, and how to configure it");
  test->footer("Exit status: 0 usable, 1 not usable, 2 wrong usage.\nExample:  kmsd hsm-test "
               "--module /usr/lib/softhsm/libsofthsm2.so --token-label kms --pin file:pin");
  test->add_option("--module", options.module, "PKCS#11 library, absolute path");
  test->add_option("--token-label", options.token_label, "label of the token");
  test->add_option("--token-serial", options.token_serial, "its serial number, if labels repeat");
  test->add_option("--module-init", options.module_init, "initialisation string of the library");
  test->add_option("--pin", options.pin,
                   "where the user PIN is: file:PATH, env:NAME, credential:NAME or fd:NUMBER");
  test->add_option("--mechanism", options.mechanism, "accept this wrap mechanism alone");
  test->add_option("--pass-environment", options.pass_environment,
                   "variables the library needs: NAME or NAME=value, separated by commas");
  test->add_option("--softhsm-config", options.softhsm_config, "SoftHSM: its configuration file");
  test->add_flag("--network", options.network, "the library may open network sockets");
  test->add_option("--config", options.config, "take the token from this configuration file");
  test->add_option("--hsm", options.hsm, "which of its tokens")->capture_default_str();
  test->add_option("--duration", options.duration, "of all measuring together")
      ->capture_default_str();
  test->add_option("--threads", options.threads, "numbers of threads to measure")
      ->delimiter(',')
      ->capture_default_str();
  test->add_option("--skip", options.skip,
                   "sections to leave out, for example performance,\"resident keys\"")
      ->delimiter(',');
  test->add_option("--step-timeout", options.step_limit, "a test that takes longer hangs")
      ->capture_default_str();
  test->add_flag("--disruptive", options.disruptive,
                 "also try one wrong PIN and hundreds of sessions");
  test->add_flag("--json", options.json, "print JSON");
  test->add_flag("--quiet", options.quiet, "no progress on standard error");
  return test;
}

int Main(int argc, char** argv) {
  // The process that talks HTTP never loads a vendor library: these run in children.
  if (argc >= 2 && std::string_view{argv[1]} == kHsmWorkerCommand) {
    return HsmWorkerMain();
  }
  if (argc >= 2 && std::string_view{argv[1]} == kCreateTokenCommand) {
    return Report(CreateTokenMain(argc, argv));
  }

  if (argc >= 2 && std::string_view{argv[1]} == kHsmQualifyCommand) {
    return HsmQualifyMain();
  }

  CLI::App app{"kmsd, a key management service rooted in your own HSM", "kmsd"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "kmsd " KMS_VERSION);
  app.footer("Start here:  kmsd dev\nFor a real HSM:  kmsd dev --print-config > kms.json, edit it, "
             "kmsd serve --config kms.json");

  std::string config_path;
  CLI::App* serve = app.add_subcommand("serve", "Run the service from a configuration file");
  serve->add_option("--config", config_path, "JSON file, comments allowed")->required();
  bool accept_rollback = false;
  constexpr const char* kAcceptRollback =
      "go on with a store that is older than the audit log or the HSM's epoch, for example a restored "
      "backup, or was changed past the service; recorded, every token but the root token is revoked "
      "and usage counters are raised";
  serve->add_flag("--accept-rollback", accept_rollback, kAcceptRollback);

  DevOptions dev_options;
  bool print_config = false;
  CLI::App* dev = app.add_subcommand(
      "dev", "Run on a SoftHSM token and a store of its own; state is kept across runs");
  dev->add_option("--listen", dev_options.listen, "HOST:PORT; port 0 picks one")
      ->capture_default_str();
  dev->add_option("--state-dir", dev_options.state_directory, "where everything is kept")
      ->capture_default_str();
  dev->add_option("--root-token", dev_options.root_token,
                  "use this root token instead of a random one (development only)");
  CLI::Option* module =
      dev->add_option("--module", dev_options.module, "another PKCS#11 module than SoftHSM");
  CLI::Option* label =
      dev->add_option("--token-label", dev_options.token_label, "token of that module");
  CLI::Option* pin = dev->add_option("--pin-file", dev_options.pin_file, "file with its user PIN");
  module->needs(label)->needs(pin);
  label->needs(module);
  pin->needs(module);
  dev->add_option("--hsms", dev_options.hsms,
                  "how many SoftHSM tokens to make, to try groups of HSMs with")
      ->check(CLI::Range(1U, kMaxDevHsms))
      ->capture_default_str();
  dev->add_flag("--accept-rollback", dev_options.accept_rollback, kAcceptRollback);
  dev->add_flag("--print-config", print_config,
                "print the equivalent configuration for `kmsd serve` and exit");

  RecoverBeginOptions recover_begin;
  RecoverFinishOptions recover_finish;
  AddRecover(app, config_path, recover_begin, recover_finish);

  VerifyAuditOptions verify_options;
  CLI::App* verify = app.add_subcommand(
      "verify-audit", "Prove offline that audit logs are complete and unchanged");
  verify->add_option("files", verify_options.files, "log files, oldest first")->required();
  verify->add_option("--public-key", verify_options.public_key_files,
                     "checkpoints must be signed by this audit key (DER or PEM); repeat it where "
                     "several HSMs serve sys; without it all by the key of the first one")
      ->allow_extra_args(false);
  verify->add_flag("--earlier-files-missing", verify_options.earlier_files_may_be_missing,
                   "the log may begin later than with record 1");
  verify->add_option("--at-least", verify_options.at_least_seq,
                     "the log must reach this record number");
  verify->add_flag("--json", verify_options.json, "print JSON");

  HsmTestOptions hsm_test_options;
  CLI::App* hsm_test = AddHsmTestCommand(app, hsm_test_options);

  RestoreCommand restore_command;
  const CLI::App* restore = AddRestore(app, config_path, restore_command);

  CLI11_PARSE(app, argc, argv);

  if (restore->parsed()) {
    return Report(RunRestore(config_path, restore_command));
  }

  if (verify->parsed()) {
    return Report(VerifyAudit(verify_options));
  }
  if (hsm_test->parsed()) {
    const Result<int> tested = HsmTest(hsm_test_options);
    return tested.has_value() ? *tested : Report(tested.error());
  }

  if (const CLI::App* recover = app.get_subcommand("recover"); recover->parsed()) {
    const bool begins = recover->get_subcommand("begin")->parsed();
    return Report(RunRecover(config_path, begins ? &recover_begin : nullptr,
                             begins ? nullptr : &recover_finish));
  }
  if (serve->parsed()) {
    return Report(RunServe(config_path, accept_rollback));
  }
  if (print_config) {
    std::fputs(PrintConfig(DevConfig(dev_options)).c_str(), stdout);
    return 0;
  }
  return Report(RunDevelopment(dev_options));
}

}  // namespace
}  // namespace kms::api

int main(int argc, char** argv) { return kms::api::Main(argc, argv); }
