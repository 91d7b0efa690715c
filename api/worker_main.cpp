// SPDX-License-Identifier: Apache-2.0
#include "api/worker_main.h"

#include <openssl/crypto.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "api/process.h"
#include "api/token_options.h"
#include "kms/base/digest.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/pin.h"
#include "pkcs11/token_setup.h"
#include "pkcs11/worker_server.h"

namespace kms::api {

namespace {

constexpr int kCreateTokenArguments = 7;
constexpr std::size_t kOfficerPinBytes = 16;

// Nobody needs the security officer of a development token, save a second start after one that was
// interrupted before the token had its user PIN: so the officer's PIN follows from the user's.
Result<SecretBytes> OfficerPin(const SecretBytes& pin) {
  const Sha256Digest digest = Sha256({AsBytes("kmsd dev security officer"), pin.View()});
  std::string text = HexEncode(ByteView(digest).first(kOfficerPinBytes));
  Result<SecretBytes> officer_pin = SecretBytes::CopyOf(AsBytes(text));
  OPENSSL_cleanse(text.data(), text.size());
  return officer_pin;
}

}  // namespace

int HsmWorkerMain() { return pkcs11::RunHsmWorker(pkcs11::kWorkerSocket); }

Status CreateTokenInChild(const HsmConfig& config) {
  const pkcs11::TokenOptions options = TokenOptionsFrom(config);
  std::vector<std::string> arguments = {"kmsd",
                                        std::string{kCreateTokenCommand},
                                        options.module_path,
                                        options.softhsm_config,
                                        options.softhsm_state_directory,
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
  pkcs11::TokenOptions options;
  options.module_path = argv[2];
  options.softhsm_config = argv[3];
  options.softhsm_state_directory = argv[4];
  options.token_label = argv[5];
  const SecretBytes pin = KMS_TRY(
      pkcs11::ReadPin({.kind = pkcs11::PinSource::Kind::kFile, .value = argv[6]}));
  const SecretBytes officer_pin = KMS_TRY(OfficerPin(pin));
  const Result<std::string> serial = pkcs11::CreateSoftHsmToken(options, pin, officer_pin);
  return serial.has_value() ? Ok() : Status{serial.error()};
}

}  // namespace kms::api
