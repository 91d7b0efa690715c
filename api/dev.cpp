// SPDX-License-Identifier: Apache-2.0
#include "api/dev.h"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

#include "api/serve.h"
#include "api/worker_main.h"

namespace kms::api {

namespace {

// `prod` starts as it should be kept: protected, and a typo in a key name makes no key.
const std::vector<InitialEnvironment> kEnvironments = {
    {.name = "dev"},
    {.name = "staging"},
    {.name = "prod", .is_protected = true, .disable_upsert = true},
    {.name = "transit"},
};

std::string ToolPath() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  std::string program{path.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
  program.resize(program.rfind('/') == std::string::npos ? 0 : program.rfind('/') + 1);
  return program + "kmsctl";
}

std::string ReadRootToken(const Config& config) {
  std::string token;
  std::ifstream file(config.auth.root_token.text.substr(std::string_view{"file:"}.size()));
  std::getline(file, token);
  return token;
}

void PrintBanner(const std::string& url, const Config& config, const DevOptions& options) {
  const std::string tool = ToolPath();
  const std::string token = ReadRootToken(config);
  std::printf("kmsd: listening on %s\n", url.c_str());
  std::printf("root token: %s\n", token.c_str());
  std::printf("environments: dev, staging, prod (protected), transit; state: %s\n",
              options.state_directory.c_str());
  if (UsesBuiltInToken(options)) {
    std::printf("SoftHSM is a file, not a security boundary: for development only\n");
  }
  for (const auto& [name, hsm] : config.hsms) {
    std::printf("one more HSM token: kmsctl hsm add %s --env dev --wait\n", name.c_str());
  }
  std::printf("\nPaste these in another shell: encrypt, rotate, rewrap and decrypt\n\n");
  std::printf("  export KMS_ADDR=%s KMS_TOKEN=%s; C=$(%s encrypt app hello); echo \"$C\"\n",
              url.c_str(), token.c_str(), tool.c_str());
  std::printf("  %s key rotate app\n", tool.c_str());
  std::printf("  %s decrypt app \"$(%s rewrap app \"$C\")\"; echo\n\n", tool.c_str(), tool.c_str());
  std::fflush(stdout);
}

}  // namespace

Status RunDev(const DevOptions& options) {
  const Config config = KMS_TRY(PrepareStateDirectory(options));
  KMS_TRY(ValidateConfig(config));
  if (UsesBuiltInToken(options)) {
    KMS_TRY(CreateTokenInChild(config.hsm));
    for (const auto& [name, hsm] : config.hsms) {
      KMS_TRY(CreateTokenInChild(hsm));
    }
  }
  ServeOptions serve;
  serve.environments = kEnvironments;
  serve.accept_rollback = options.accept_rollback;
  serve.reload_config = [&options]() -> Result<Config> {
    Config again = DevConfig(options);
    KMS_TRY(ValidateConfig(again));
    return again;
  };
  serve.on_listening = [&](const std::string& url) {
    PrintBanner(url, config, options);
  };
  return Serve(config, serve);
}

}  // namespace kms::api
