// SPDX-License-Identifier: Apache-2.0
#include "api/state_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "kms/base/random.h"
#include "pkcs11/token_setup.h"

namespace kms::api {

namespace {

constexpr std::string_view kBuiltInTokenLabel = "kms-dev";
// What the PKCS#11 modules met most often read their configuration from.
constexpr std::string_view kUsualModuleVariables =
    "SOFTHSM2_CONF,ChrystokiConfigurationPath,"
    "YUBIHSM_PKCS11_CONF,P11_KIT_SERVER_ADDRESS";

std::string AbsolutePath(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

std::string FindSoftHsm() {
  for (const char* path : {"/usr/lib/softhsm/libsofthsm2.so",
                           "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                           "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
                           "/usr/lib64/softhsm/libsofthsm2.so",
                           "/usr/local/lib/softhsm/libsofthsm2.so"}) {
    if (std::filesystem::exists(path)) {
      return path;
    }
  }
  return "/usr/lib/softhsm/libsofthsm2.so";
}

Error CannotWrite(const std::string& path) {
  return FailedPrecondition("cannot write " + path + ": " + std::strerror(errno) +
                            "; check that the state directory is yours and the disk is not full");
}

// Whole file or none: written beside, synced, renamed.
Status WritePrivateFile(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) {
    return CannotWrite(temporary);
  }
  const bool written = ::write(file, content.data(), content.size()) ==
                           static_cast<ssize_t>(content.size()) &&
                       ::fsync(file) == 0;
  ::close(file);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return CannotWrite(path);
  }
  return Ok();
}

std::string RandomText(std::string_view prefix, std::size_t bytes) {
  std::array<std::uint8_t, 32> random{};
  const MutableByteView used = MutableByteView{random}.first(bytes);
  FillRandom(used);
  return std::string{prefix} + HexEncode(used);
}

Status EnsurePrivateFile(const std::string& path, const std::string& fresh) {
  return std::filesystem::exists(path) ? Ok() : WritePrivateFile(path, fresh + "\n");
}

Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return FailedPrecondition("cannot make the directory " + path + ": " + error.message());
  }
  return Ok();
}

Status PrepareSoftHsm(const std::string& directory) {
  KMS_TRY(EnsurePrivateFile(directory + "/pin", RandomText("", 16)));
  const std::string path = directory + "/softhsm2.conf";
  if (std::filesystem::exists(path)) {
    return Ok();
  }
  return pkcs11::WriteSoftHsmConfig(path, directory + "/tokens");
}

HsmConfig SoftHsmIn(const std::string& directory, const std::string& label) {
  return {.module = FindSoftHsm(),
          .token_label = label,
          .pin = {"file:" + directory + "/pin"},
          .softhsm_config = directory + "/softhsm2.conf",
          .softhsm_state_directory = directory};
}

// The further tokens: as many as asked for, and those of earlier runs.
std::vector<std::string> FurtherTokens(const DevOptions& options, const std::string& directory) {
  std::vector<std::string> names;
  for (unsigned number = 2; number <= kMaxDevHsms; ++number) {
    const std::string name = "hsm-" + std::to_string(number);
    std::error_code ignored;
    if (number <= options.hsms || std::filesystem::exists(directory + "/" + name, ignored)) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

bool UsesBuiltInToken(const DevOptions& options) { return options.module.empty(); }

Config DevConfig(const DevOptions& options) {
  const std::string directory = AbsolutePath(options.state_directory);
  Config config;
  config.listener.address = options.listen;
  config.store.path = directory + "/store.db";
  config.audit.path = directory + "/audit.log";
  config.auth.root_token.text = "file:" + directory + "/root-token";
  if (UsesBuiltInToken(options)) {
    config.hsm = SoftHsmIn(directory, std::string(kBuiltInTokenLabel));
    for (const std::string& name : FurtherTokens(options, directory)) {
      config.hsms[name] =
          SoftHsmIn(directory + "/" + name, std::string(kBuiltInTokenLabel) + name.substr(3));
    }
  } else {
    config.hsm.module = options.module;
    config.hsm.token_label = options.token_label;
    config.hsm.pass_environment = kUsualModuleVariables;
    config.hsm.pin.text = "file:" + AbsolutePath(options.pin_file);
  }
  return config;
}

Result<Config> PrepareStateDirectory(const DevOptions& options) {
  const std::string directory = AbsolutePath(options.state_directory);
  KMS_TRY(MakeDirectory(directory));
  ::chmod(directory.c_str(), 0700);
  if (UsesBuiltInToken(options)) {
    KMS_TRY(PrepareSoftHsm(directory));
    for (const std::string& name : FurtherTokens(options, directory)) {
      KMS_TRY(MakeDirectory(directory + "/" + name));
      ::chmod((directory + "/" + name).c_str(), 0700);
      KMS_TRY(PrepareSoftHsm(directory + "/" + name));
    }
  }
  const std::string token_path = directory + "/root-token";
  if (options.root_token.empty()) {
    KMS_TRY(EnsurePrivateFile(token_path, RandomText("kms.", 24)));
  } else {
    KMS_TRY(WritePrivateFile(token_path, options.root_token + "\n"));
  }
  return DevConfig(options);
}

}  // namespace kms::api
