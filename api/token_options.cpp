// SPDX-License-Identifier: Apache-2.0
#include "api/token_options.h"

#include <array>
#include <string_view>
#include <utility>

namespace kms::api {

namespace {

using Kind = pkcs11::PinSource::Kind;

constexpr std::array kSchemes = {
    std::pair{std::string_view{"file:"}, Kind::kFile},
    std::pair{std::string_view{"credential:"}, Kind::kSystemdCredential},
    std::pair{std::string_view{"fd:"}, Kind::kDescriptor},
    std::pair{std::string_view{"env:"}, Kind::kEnvironment},
};

}  // namespace

pkcs11::PinSource PinSourceFrom(const SecretReference& reference) {
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
          .pin = PinSourceFrom(config.pin),
          .sessions = static_cast<std::uint32_t>(config.sessions),
          .softhsm_config = config.softhsm_config,
          .softhsm_state_directory = config.softhsm_state_directory,
          .pinned_mechanism = config.mechanism == "auto" ? std::string{} : config.mechanism};
}

}  // namespace kms::api
