// SPDX-License-Identifier: Apache-2.0
// Which environment a mount path of sys/mounts and sys/environments means.
#pragma once

#include <string>
#include <string_view>

namespace kms::api {

// Below a namespace, which names an environment, "transit" is that environment and every other path
// is one below it (transit-api 13.1).
inline std::string AddressedEnvironment(std::string_view name_space, std::string_view path) {
  constexpr std::string_view kFixedMount = "transit";
  if (name_space.empty()) {
    return std::string(path);
  }
  if (path == kFixedMount) {
    return std::string(name_space);
  }
  return std::string(name_space) + "/" + std::string(path);
}

}  // namespace kms::api
