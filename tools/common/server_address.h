// SPDX-License-Identifier: Apache-2.0
// Where the server is and who asks: address, token and CA file, from options, else the environment.
#pragma once

#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::tools {

struct ServerAddress {
  bool https = false;
  std::string host;  // an IPv6 address without its brackets
  int port = 8200;

  // "http://127.0.0.1:8200", brackets restored.
  [[nodiscard]] std::string ToUrl() const;
};

// Accepts "http://host[:port]" and "https://host[:port]", a trailing '/' included. Without a port:
// 80 or 443. Errors: kInvalidArgument.
Result<ServerAddress> ParseServerAddress(std::string_view text);

// `option`, else KMS_ADDR, else VAULT_ADDR, else http://127.0.0.1:8200. Errors: kInvalidArgument.
Result<ServerAddress> ResolveAddress(std::string_view option);

// "~/.kms-token", where kmsctl login keeps a token; empty without HOME.
std::string DefaultTokenFile();

// The first line of `token_file` when that is given, else the environment's `variable`, else, when
// that is not named, KMS_TOKEN, else VAULT_TOKEN, else DefaultTokenFile() if it exists; empty when
// there is none. White space at both ends is dropped.
// Errors: kInvalidArgument (unreadable file, control characters in the token).
Result<PlaintextBuffer> ResolveToken(const std::string& token_file, std::string_view variable = {});

// `option`, else KMS_CACERT, else VAULT_CACERT, else empty: the system's certificates.
std::string ResolveCaFile(std::string_view option);

// The value of the first variable that is set and not empty, else `fallback`.
std::string FirstOfEnvironment(std::string_view first, std::string_view second,
                               std::string_view fallback);

}  // namespace kms::tools
