// SPDX-License-Identifier: Apache-2.0
// Resolves address, token and CA file; the order is the one that Vault clients' users expect.
#include "tools/common/server_address.h"

#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>

namespace kms::tools {

namespace {

constexpr std::string_view kDefaultAddress = "http://127.0.0.1:8200";
constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

Error BadAddress(std::string_view text) {
  return InvalidArgument("\"" + std::string(text) +
                         "\" is not an address; write http://HOST:PORT or https://HOST:PORT");
}

Result<int> ParsePort(std::string_view digits, std::string_view whole) {
  int port = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failure != std::errc{} || end != digits.data() + digits.size() || port < 1 || port > 65535) {
    return BadAddress(whole);
  }
  return port;
}

Result<PlaintextBuffer> CheckedToken(std::string_view text) {
  const std::string_view token = Trim(text);
  const auto is_unfit = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7f;
  };
  if (std::ranges::any_of(token, is_unfit)) {
    return InvalidArgument(
        "the token holds characters that no token has; check where it came from");
  }
  PlaintextBuffer buffer;
  std::ranges::copy(AsBytes(token), buffer.Reset(token.size()).begin());
  return buffer;
}

Result<PlaintextBuffer> TokenFromFile(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file.is_open() || (!std::getline(file, line) && !file.eof())) {
    return InvalidArgument("cannot read the token file " + path);
  }
  Result<PlaintextBuffer> token = CheckedToken(line);
  OPENSSL_cleanse(line.data(), line.size());
  return token;
}

}  // namespace

std::string ServerAddress::ToUrl() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (https ? "https://" : "http://") + (is_ipv6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

Result<ServerAddress> ParseServerAddress(std::string_view text) {
  ServerAddress address;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    address.https = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return BadAddress(text);
  }
  if (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) {
      return BadAddress(text);
    }
    address.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    const std::size_t colon = rest.find(':');
    address.host = rest.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon);
  }
  if (address.host.empty() || address.host.find_first_of("/?#@ ") != std::string::npos ||
      (!port.empty() && port.front() != ':')) {
    return BadAddress(text);
  }
  if (port.empty()) {
    address.port = address.https ? 443 : 80;
    return address;
  }
  address.port = KMS_TRY(ParsePort(port.substr(1), text));
  return address;
}

Result<ServerAddress> ResolveAddress(std::string_view option) {
  if (!option.empty()) {
    return ParseServerAddress(option);
  }
  return ParseServerAddress(FirstOfEnvironment("KMS_ADDR", "VAULT_ADDR", kDefaultAddress));
}

std::string DefaultTokenFile() {
  const std::string home = FirstOfEnvironment("HOME", "", "");
  return home.empty() ? home : home + "/.kms-token";
}

Result<PlaintextBuffer> ResolveToken(const std::string& token_file, std::string_view variable) {
  if (!token_file.empty()) {
    return TokenFromFile(token_file);
  }
  std::string token = variable.empty() ? FirstOfEnvironment("KMS_TOKEN", "VAULT_TOKEN", "")
                                       : FirstOfEnvironment(variable, "", "");
  if (const std::string kept = DefaultTokenFile();
      token.empty() && variable.empty() && !kept.empty() && ::access(kept.c_str(), F_OK) == 0) {
    return TokenFromFile(kept);
  }
  Result<PlaintextBuffer> checked = CheckedToken(token);
  OPENSSL_cleanse(token.data(), token.size());
  return checked;
}

std::string ResolveCaFile(std::string_view option) {
  return option.empty() ? FirstOfEnvironment("KMS_CACERT", "VAULT_CACERT", "")
                        : std::string(option);
}

std::string FirstOfEnvironment(std::string_view first, std::string_view second,
                               std::string_view fallback) {
  for (const std::string_view name : {first, second}) {
    if (name.empty()) {
      continue;
    }
    const char* value = std::getenv(std::string(name).c_str());
    if (value != nullptr && *value != '\0') {
      return value;
    }
  }
  return std::string(fallback);
}

}  // namespace kms::tools
