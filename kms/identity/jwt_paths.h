// SPDX-License-Identifier: Apache-2.0
// Where entries of a jwt mount live in `sys`. Private to jwt_*.cpp.
#pragma once

#include <string>
#include <string_view>

#include "kms/identity/auth_mounts.h"

namespace kms {

inline std::string JwtConfigPath(const AuthMount& mount) { return mount.StorePrefix() + "config"; }
inline std::string JwtRolePath(const AuthMount& mount, std::string_view name) {
  return mount.StorePrefix() + "role/" + std::string(name);
}
inline std::string SeenJwtPath(const AuthMount& mount, std::string_view hex) {
  return mount.StorePrefix() + "seen/" + std::string(hex);
}

}  // namespace kms
