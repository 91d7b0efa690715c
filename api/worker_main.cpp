// SPDX-License-Identifier: Apache-2.0
#include "api/worker_main.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "api/process.h"
#include "api/token_options.h"
#include "kms/base/random.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/pin.h"
#include "pkcs11/token_setup.h"
#include "pkcs11/worker_server.h"

namespace kms::api {

namespace {

constexpr int kCreateTokenArguments = 6;
constexpr std::size_t kOfficerPinBytes = 16;

// Nobody needs the security officer of a development token again: a fresh random PIN, forgotten.
Result<SecretBytes> ForgottenOfficerPin() {
  std::array<std::uint8_t, kOfficerPinBytes> random{};
  FillRandom(random);
  const std::string text = HexEncode(random);
  return SecretBytes::CopyOf(AsBytes(text));
}

}  // namespace

int HsmWorkerMain() { return pkcs11::RunHsmWorker(pkcs11::kWorkerSocket); }

Status CreateTokenInChild(const HsmConfig& config) {
  const pkcs11::TokenOptions options = TokenOptionsFrom(config);
  std::vector<std::string> arguments = {"kmsd",
                                        std::string{kCreateTokenCommand},
                                        options.module_path,
                                        options.softhsm_config,
                                        options.token_label,
                                        options.pin.value};
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  std::array<char*, 1> environment{nullptr};
  pid_t child = -1;
  if (const int code = ::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(),
                                     environment.data());
      code != 0) {
    return Internal("posix_spawn failed with errno " + std::to_string(code));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return FailedPrecondition("the SoftHSM token " + options.token_label +
                              " could not be made; the lines above say why");
  }
  return Ok();
}

Status CreateTokenMain(int argc, char** argv) {
  if (argc != kCreateTokenArguments) {
    return InvalidArgument("this command is for kmsd itself; use `kmsd dev`");
  }
  KMS_TRY(HardenProcess());
  KMS_TRY(InitializeSecretMemory());
  const SecretBytes pin = KMS_TRY(
      pkcs11::ReadPin({.kind = pkcs11::PinSource::Kind::kFile, .value = argv[5]}));
  const SecretBytes officer_pin = KMS_TRY(ForgottenOfficerPin());
  const Result<std::string> serial =
      pkcs11::CreateSoftHsmToken(argv[2], argv[3], argv[4], pin, officer_pin);
  return serial.has_value() ? Ok() : Status{serial.error()};
}

}  // namespace kms::api
