// SPDX-License-Identifier: Apache-2.0
// Principal: who a request acts for. Immutable and shared; no secret in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kms {

struct Principal {
  std::string accessor;  // names the token without being able to use it
  std::string display_name;
  std::vector<std::string> policies;  // sorted
  std::string path;                   // where the token was made, for example "auth/token/root"
  std::int64_t created_unix_seconds = 0;
  bool is_root = false;  // may do everything
};

using PrincipalHandle = std::shared_ptr<const Principal>;

}  // namespace kms
