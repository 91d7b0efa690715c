// SPDX-License-Identifier: Apache-2.0
// Where the entries of an approle mount live; their formats are in approle_records.cpp.
#pragma once

#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/digest.h"
#include "kms/base/ids.h"
#include "kms/identity/auth_mounts.h"

namespace kms {

inline std::string RolesOf(const AuthMount& mount) { return mount.StorePrefix() + "role/"; }

inline std::string RolePath(const AuthMount& mount, std::string_view name) {
  return RolesOf(mount) + std::string(name);
}

// A role_id is the operator's text, so its digest stands in the path.
inline std::string RoleIdPath(const AuthMount& mount, std::string_view role_id) {
  return mount.StorePrefix() + "role-id/" + HexEncode(Sha256(AsBytes(role_id)));
}

inline std::string AllSecretIds(const AuthMount& mount) {
  return mount.StorePrefix() + "secret-id/";
}
inline std::string SecretIdsOf(const AuthMount& mount, std::string_view role) {
  return AllSecretIds(mount) + std::string(role) + "/";
}
inline std::string SecretIdPath(const AuthMount& mount, std::string_view role,
                                const Sha256Digest& hash) {
  return SecretIdsOf(mount, role) + HexEncode(hash);
}

inline std::string AllSecretIdAccessors(const AuthMount& mount) {
  return mount.StorePrefix() + "secret-id-accessor/";
}
inline std::string SecretIdAccessorsOf(const AuthMount& mount, std::string_view role) {
  return AllSecretIdAccessors(mount) + std::string(role) + "/";
}
inline std::string SecretIdAccessorPath(const AuthMount& mount, std::string_view role,
                                        std::string_view accessor) {
  return SecretIdAccessorsOf(mount, role) + std::string(accessor);
}

}  // namespace kms
