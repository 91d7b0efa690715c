// SPDX-License-Identifier: Apache-2.0
// The token a request presents: X-Vault-Token first, else `Authorization: Bearer` (transit-api 2.2).
#pragma once

#include <string_view>

#include "api/front/http_message.h"

namespace kms::api {

// Empty when there is none. The view lives as long as the request.
inline std::string_view PresentedToken(const HttpRequest& request) {
  if (const auto token = request.Header("X-Vault-Token"); token && !token->empty()) {
    return *token;
  }
  constexpr std::string_view kBearer = "Bearer ";
  const auto authorization = request.Header("Authorization");
  if (!authorization || !authorization->starts_with(kBearer)) {
    return {};
  }
  return authorization->substr(kBearer.size());
}

}  // namespace kms::api
