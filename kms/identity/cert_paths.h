// SPDX-License-Identifier: Apache-2.0
// Where the entries of a cert mount are in `sys`.
#pragma once

#include <string>
#include <string_view>

#include "kms/identity/auth_mounts.h"

namespace kms {

inline std::string CertEntryPath(const AuthMount& mount, std::string_view name) {
  return mount.StorePrefix() + "certs/" + std::string(name);
}
inline std::string RevocationListPath(const AuthMount& mount, std::string_view name) {
  return mount.StorePrefix() + "crls/" + std::string(name);
}
inline std::string CertSettingsPath(const AuthMount& mount) {
  return mount.StorePrefix() + "config";
}

}  // namespace kms
