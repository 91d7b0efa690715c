// SPDX-License-Identifier: Apache-2.0
#include "api/token_options.h"

#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <utility>

namespace kms::api {

namespace {

using Kind = SecretSource::Kind;

constexpr std::array kSchemes = {
    std::pair{std::string_view{"file:"}, Kind::kFile},
    std::pair{std::string_view{"credential:"}, Kind::kSystemdCredential},
    std::pair{std::string_view{"fd:"}, Kind::kDescriptor},
    std::pair{std::string_view{"env:"}, Kind::kEnvironment},
};

}  // namespace

SecretSource SecretSourceFrom(const SecretReference& reference) {
  for (const auto& [prefix, kind] : kSchemes) {
    if (reference.text.starts_with(prefix)) {
      return {.kind = kind, .value = reference.text.substr(prefix.size())};
    }
  }
  return {};
}

pkcs11::TokenOptions TokenOptionsFrom(const HsmConfig& config) {
  return {.module_path = config.module,
          .module_init = config.module_init,
          .token_label = config.token_label,
          .token_serial = config.token_serial,
          .pin = SecretSourceFrom(config.pin),
          .sessions = static_cast<std::uint32_t>(config.sessions),
          .softhsm_config = config.softhsm_config,
          .softhsm_state_directory = config.softhsm_state_directory,
          .pinned_mechanism = config.mechanism == "auto" ? std::string{} : config.mechanism,
          .network = config.network,
          .memory_limit_bytes = config.memory_limit_bytes,
          .state_directory = config.state_directory};
}

std::vector<std::string> WorkerEnvironmentFrom(const HsmConfig& config) {
  std::vector<std::string> environment;
  std::istringstream entries(config.pass_environment);
  for (std::string entry; std::getline(entries, entry, ',');) {
    if (entry.find('=') != std::string::npos) {
      environment.push_back(entry);
    } else if (const char* value = std::getenv(entry.c_str()); value != nullptr) {
      environment.push_back(entry + "=" + value);
    }
  }
  return environment;
}

}  // namespace kms::api
