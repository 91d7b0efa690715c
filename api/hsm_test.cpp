// SPDX-License-Identifier: Apache-2.0
#include "api/hsm_test.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "api/config/config.h"
#include "api/config/config_fields.h"
#include "api/process.h"
#include "api/token_options.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/qualification.h"
#include "pkcs11/qualification_report.h"
#include "pkcs11/worker_process.h"
#include "pkcs11/worker_server.h"

namespace kms::api {
namespace {

constexpr int kExitUsable = 0;
constexpr int kExitNotUsable = 1;
constexpr std::size_t kMostThreadCounts = 16;

Result<HsmConfig> ConfiguredHsm(const HsmTestOptions& options) {
  if (options.config.empty()) return HsmConfig{};
  const Config config = KMS_TRY(LoadConfig(options.config));
  const HsmConfigs all = AllHsms(config);
  const auto found = all.find(options.hsm);
  if (found == all.end()) {
    return InvalidArgument("the configuration has no HSM named " + options.hsm +
                           "; --hsm takes \"default\" or a name of its section hsms");
  }
  return found->second;
}

void Override(std::string& value, const std::string& given) {
  if (!given.empty()) value = given;
}

Result<HsmConfig> WantedHsm(const HsmTestOptions& options) {
  HsmConfig hsm = KMS_TRY(ConfiguredHsm(options));
  Override(hsm.module, options.module);
  Override(hsm.module_init, options.module_init);
  Override(hsm.token_label, options.token_label);
  Override(hsm.token_serial, options.token_serial);
  Override(hsm.pin.text, options.pin);
  Override(hsm.mechanism, options.mechanism);
  Override(hsm.pass_environment, options.pass_environment);
  Override(hsm.softhsm_config, options.softhsm_config);
  hsm.network = hsm.network || options.network;
  if (hsm.module.empty() || hsm.token_label.empty() || hsm.pin.text.empty()) {
    return InvalidArgument(
        "name the token: --module, --token-label and --pin, or --config with --hsm");
  }
  if (SecretSourceFrom(hsm.pin).value.empty()) {
    return InvalidArgument(
        "--pin says where the PIN is: file:PATH, env:NAME, credential:NAME or fd:NUMBER");
  }
  return hsm;
}

Result<pkcs11::QualificationOptions> QualificationOptionsFrom(const HsmTestOptions& options,
                                                              const HsmConfig& hsm) {
  if (options.threads.empty() || options.threads.size() > kMostThreadCounts) {
    return InvalidArgument("--threads takes 1 to 16 numbers, for example 1,2,4,8");
  }
  pkcs11::QualificationOptions wanted;
  wanted.token = TokenOptionsFrom(hsm);
  wanted.pin_reference = hsm.pin.text;
  wanted.pass_environment = hsm.pass_environment;
  wanted.threads = options.threads;
  wanted.duration = KMS_TRY(ParseDuration(options.duration));
  wanted.step_limit = KMS_TRY(ParseDuration(options.step_limit));
  wanted.skip = options.skip;
  wanted.disruptive = options.disruptive;
  const bool pinned = hsm.mechanism != "auto" && !hsm.mechanism.empty();
  if (!pinned) wanted.token.pinned_mechanism.clear();
  return wanted;
}

pkcs11::QualificationLauncher LaunchWith(const std::vector<std::string>& environment) {
  return [environment](const SecretBytes& pin) {
    return pkcs11::SpawnWorker({.program = "/proc/self/exe",
                                .arguments = {std::string{kHsmQualifyCommand}},
                                .environment = environment,
                                .pin = &pin});
  };
}

}  // namespace

Result<int> HsmTest(const HsmTestOptions& options) {
  const HsmConfig hsm = KMS_TRY(WantedHsm(options));
  const auto wanted = KMS_TRY(QualificationOptionsFrom(options, hsm));
  KMS_TRY(HardenProcess());
  KMS_TRY(InitializeSecretMemory());
  const bool quiet = options.quiet;
  const auto progress = [quiet](const std::string& step) {
    if (!quiet) std::fprintf(stderr, "hsm-test: %s\n", step.c_str());
  };
  const auto report = KMS_TRY(
      pkcs11::QualifyToken(wanted, LaunchWith(WorkerEnvironmentFrom(hsm)), progress));
  const std::string text = options.json ? pkcs11::QualificationJson(wanted, report)
                                        : pkcs11::QualificationText(wanted, report);
  std::fputs(text.c_str(), stdout);
  return pkcs11::JudgeQualification(report).usable ? kExitUsable : kExitNotUsable;
}

int HsmQualifyMain() { return pkcs11::RunQualificationChild(pkcs11::kWorkerSocket); }

}  // namespace kms::api
