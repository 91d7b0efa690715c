// SPDX-License-Identifier: Apache-2.0
// What only the whole configuration tells.
#include <algorithm>
#include <bit>
#include <string>
#include <string_view>

#include "api/config/config.h"
#include "api/config/config_fields.h"

namespace kms::api {

namespace {

// The same as kms/master's, which this room does not know.
constexpr std::string_view kDefaultToken = "default";
constexpr std::size_t kMaxTokenName = 32;

Status RequireKey(const std::string& value, std::string_view name) {
  if (value.empty()) {
    return InvalidArgument("configuration: " + std::string{name} + " is required");
  }
  return Ok();
}

Status ValidateClientCertificates(const ListenerConfig& listener) {
  const bool asks = listener.tls_client_certificates != "none";
  if (asks && listener.tls_certificate.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_client_certificates needs listener.tls_certificate and "
        "tls_key");
  }
  if (listener.tls_client_certificates == "request" && !listener.tls_client_ca.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_client_ca demands a certificate, so "
        "listener.tls_client_certificates cannot be \"request\"");
  }
  return Ok();
}

bool IsSet(const HsmConfig& hsm) {
  return !hsm.module.empty() || !hsm.token_label.empty() || !hsm.pin.text.empty();
}

// How the configuration calls it: "hsm" or "hsms.NAME".
std::string SectionOf(std::string_view token) {
  return token == kDefaultToken ? std::string{kHsmSection}
                                : std::string{kHsmsSection} + "." + std::string{token};
}

Status ValidateTokenName(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool fits = !name.empty() && name.size() <= kMaxTokenName && is_letter(name.front()) &&
                    std::ranges::all_of(name, [&](char c) { return is_letter(c) || c == '-'; });
  if (!fits) {
    return InvalidArgument("configuration: hsms.\"" + name +
                           "\": a token's name is 1 to 32 of a-z, 0-9 and -, and begins with a "
                           "letter or digit");
  }
  if (name == kDefaultToken) {
    return InvalidArgument(
        "configuration: hsms.default: that is the name of the token of the section hsm; choose "
        "another");
  }
  return Ok();
}

constexpr Milliseconds kLongestCall{300'000};

Status ValidateToken(std::string_view name, const HsmConfig& hsm) {
  const std::string section = SectionOf(name);
  KMS_TRY(RequireKey(hsm.module, section + ".module"));
  KMS_TRY(RequireKey(hsm.token_label, section + ".token_label"));
  KMS_TRY(RequireKey(hsm.pin.text, section + ".pin"));
  if (hsm.breaker_longest_pause < hsm.breaker_first_pause) {
    return InvalidArgument("configuration: " + section +
                           ".breaker_longest_pause must not be shorter than breaker_first_pause");
  }
  if (hsm.call_timeout > kLongestCall) {
    return InvalidArgument("configuration: " + section +
                           ".call_timeout must be at most 5m: so long would a hung HSM hold up "
                           "whoever calls it");
  }
  return Ok();
}

// Without serial numbers only labels tell tokens apart; a module may reach different HSMs by what
// its environment and its initialisation string say.
bool MayBeOneToken(const HsmConfig& a, const HsmConfig& b) {
  const bool serials_differ =
      !a.token_serial.empty() && !b.token_serial.empty() && a.token_serial != b.token_serial;
  return a.module == b.module && a.module_init == b.module_init &&
         a.pass_environment == b.pass_environment && a.softhsm_config == b.softhsm_config &&
         a.token_label == b.token_label && !serials_differ;
}

Status ValidatePair(std::string_view name, const HsmConfig& hsm, std::string_view other_name,
                    const HsmConfig& other) {
  const std::string pair = SectionOf(name) + " and " + SectionOf(other_name);
  if (MayBeOneToken(hsm, other)) {
    return InvalidArgument("configuration: " + pair + " name the same token \"" + hsm.token_label +
                           "\": a token has one name; if they are two, set token_serial in both");
  }
  if (!hsm.softhsm_state_directory.empty() &&
      hsm.softhsm_state_directory == other.softhsm_state_directory) {
    return InvalidArgument("configuration: " + pair +
                           " share one softhsm_state_directory: each needs its own, for its lock "
                           "and its backup copies");
  }
  return Ok();
}

Status ValidateTokens(const Config& config) {
  for (const auto& [name, hsm] : config.hsms) {
    KMS_TRY(ValidateTokenName(name));
  }
  HsmConfigs tokens = AllHsms(config);
  if (tokens.empty()) {
    tokens[std::string{kDefaultToken}] = config.hsm;  // so that its keys are asked for
  }
  for (auto token = tokens.begin(); token != tokens.end(); ++token) {
    KMS_TRY(ValidateToken(token->first, token->second));
    for (auto other = tokens.begin(); other != token; ++other) {
      KMS_TRY(ValidatePair(other->first, other->second, token->first, token->second));
    }
  }
  return Ok();
}

}  // namespace

HsmConfigs AllHsms(const Config& config) {
  HsmConfigs tokens = config.hsms;
  if (IsSet(config.hsm)) {
    tokens[std::string{kDefaultToken}] = config.hsm;
  }
  const std::size_t slash = config.store.path.rfind('/');
  for (auto& [name, token] : tokens) {
    if (token.call_timeout == Milliseconds{0}) {
      token.call_timeout = config.hsm.call_timeout;
    }
    token.start_timeout = HsmConfig{}.start_timeout;  // no token's own
    if (token.state_directory.empty() && token.softhsm_state_directory.empty()) {
      token.state_directory = slash == std::string::npos ? "." : config.store.path.substr(0, slash);
    }
  }
  return tokens;
}

Status ValidateConfig(const Config& config) {
  KMS_TRY(RequireKey(config.store.path, "store.path"));
  KMS_TRY(RequireKey(config.audit.path, "audit.path"));
  KMS_TRY(ValidateTokens(config));
  KMS_TRY(RequireKey(config.auth.root_token.text, "auth.root_token"));
  if (config.listener.tls_certificate.empty() != config.listener.tls_key.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_certificate and listener.tls_key must be set together");
  }
  if (!std::has_single_bit(config.limits.secret_memory_bytes)) {
    return InvalidArgument("configuration: limits.secret_memory_bytes must be a power of two");
  }
  if (!config.listener.tls_client_ca.empty() && config.listener.tls_certificate.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_client_ca needs listener.tls_certificate and tls_key");
  }
  return ValidateClientCertificates(config.listener);
}

}  // namespace kms::api
