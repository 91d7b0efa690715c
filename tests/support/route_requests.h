// SPDX-License-Identifier: Apache-2.0
// Requests made from the route table, so that no row can be left out of a matrix.
#pragma once

#include <string>
#include <vector>

#include "api/handlers/route_table.h"
#include "tests/support/api_service.h"

namespace kms::testing {

inline api::HttpMethod MethodOf(api::Operation operation) {
  switch (operation) {
    case api::Operation::kRead: return api::HttpMethod::kGet;
    case api::Operation::kUpdate: return api::HttpMethod::kPost;
    case api::Operation::kDelete: return api::HttpMethod::kDelete;
    case api::Operation::kList: return api::HttpMethod::kList;
  }
  return api::HttpMethod::kGet;
}

// Where a row begins: environment dev, or the auth mount named like its type.
inline std::string RoomOf(const api::Route& route, std::string_view environment = "dev") {
  if (route.absolute) {
    return "";
  }
  return route.auth_type.empty() ? std::string(environment) + "/"
                                 : "auth/" + std::string(route.auth_type) + "/";
}

// A target of this row, every capture `value` ("plaintext" for datakey's form).
inline std::string TargetOf(const api::Route& route, std::string_view value = "app",
                            std::string_view environment = "dev") {
  std::string out = "/v1/" + RoomOf(route, environment);
  std::string_view pattern = route.pattern;
  while (!pattern.empty()) {
    const std::size_t open = std::min(pattern.find('{'), pattern.size());
    out += pattern.substr(0, open);
    pattern.remove_prefix(open);
    if (!pattern.empty()) {
      const std::size_t close = pattern.find('}');
      const bool form = pattern.substr(0, close + 1) == "{plaintext}";
      out += form ? std::string_view("plaintext") : value;
      pattern.remove_prefix(close + 1);
    }
  }
  return out;
}

inline ApiRequest RequestOf(const api::Route& route, std::string body = "{}") {
  return {MethodOf(route.operation), TargetOf(route),
          route.operation == api::Operation::kUpdate ? std::move(body) : std::string(), {}};
}

}  // namespace kms::testing
