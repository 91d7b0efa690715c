// SPDX-License-Identifier: Apache-2.0
// Login with role_id and secret id.
#include <utility>

#include "kms/identity/approle.h"
#include "kms/identity/approle_paths.h"
#include "kms/identity/entry_commit.h"

namespace kms {
namespace {

// Each round that fails is a login by the same secret id that did not.
constexpr int kRounds = 1000;

// One text for everything: it tells neither of the two apart.
Error WrongCredentials() {
  return MakeError(ErrorCode::kUnauthenticated, "invalid role or secret ID");
}

Error WrongAddress(std::string_view address, std::string_view what) {
  return MakeError(ErrorCode::kUnauthenticated, "source address \"" + std::string(address) +
                                                    "\" unauthorized by CIDR restrictions on the " +
                                                    std::string(what));
}

LoginGrant GrantOf(const StoredAppRole& role, const std::string& name,
                   const StoredSecretId& secret_id) {
  LoginGrant grant;
  grant.parameters = role.settings.parameters;
  if (!secret_id.token_bound_cidrs.empty()) {
    grant.parameters.bound_cidrs = secret_id.token_bound_cidrs;
  }
  grant.alias = role.role_id;
  grant.role = name;
  grant.display_name = "approle";
  grant.metadata = secret_id.metadata;
  grant.metadata.insert_or_assign("role_name", name);  // the operator's word beats the metadata
  return grant;
}

}  // namespace

Result<std::optional<StoredAppRole>> AppRoles::RoleByRoleId(const AuthMount& mount,
                                                            std::string_view role_id,
                                                            std::string& name) {
  const std::optional<OpenedEntry> index = KMS_TRY(sys_.Get(RoleIdPath(mount, role_id)));
  if (!index) {
    return std::optional<StoredAppRole>{};
  }
  name = KMS_TRY(DecodeRoleIdIndex(index->value.View()));
  std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name));
  // Between the two reads the role may have got another role_id, or have been made again.
  if (!loaded || loaded->role.role_id != role_id) {
    return std::optional<StoredAppRole>{};
  }
  return std::optional(std::move(loaded->role));
}

// The last use takes the secret id with it.
Status AppRoles::TakeUse(const AuthMount& mount, const StoredAppRole& role,
                         const Sha256Digest& hash, LoadedSecretId loaded) {
  const std::string id = role.id.ToString();
  StoredSecretId& stored = loaded.secret_id;
  stored.uses_left -= 1;
  stored.updated_unix_seconds = ToUnixSeconds(clock_.Now());
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = SecretIdPath(mount, id, hash),
                       .value = std::nullopt,
                       .expected_revision = loaded.revision});
  if (stored.uses_left > 0) {
    mutations.back().value = KMS_TRY(EncodeSecretId(stored));
  } else {
    mutations.push_back({.path = SecretIdAccessorPath(mount, id, stored.accessor),
                         .value = std::nullopt,
                         .expected_revision = std::nullopt});
  }
  return CommitOnce(sys_, std::move(mutations));
}

Result<StoredSecretId> AppRoles::SpendSecretId(const AuthMount& mount, const StoredAppRole& role,
                                               std::string_view secret_id,
                                               std::string_view address) {
  const Sha256Digest hash = KMS_TRY(SecretIdHash(role, secret_id));
  const std::string path = SecretIdPath(mount, role.id.ToString(), hash);
  for (int round = 0; round < kRounds; ++round) {
    std::optional<LoadedSecretId> loaded = KMS_TRY(LoadSecretId(path));
    if (!loaded) {
      return WrongCredentials();
    }
    if (!AllowedFrom(loaded->secret_id.cidr_list, address) ||
        !AllowedFrom(loaded->secret_id.token_bound_cidrs, address)) {
      return WrongAddress(address, "secret ID");
    }
    StoredSecretId spent = loaded->secret_id;
    if (!spent.limited) {
      return spent;
    }
    const Status taken = TakeUse(mount, role, hash, *std::move(loaded));
    if (taken.has_value()) {
      return spent;
    }
    if (taken.error().code != ErrorCode::kConflict) {
      return taken.error();
    }
  }
  return Conflict("too many logins with one secret ID");
}

Result<LoginGrant> AppRoles::Login(const AuthMount& mount, std::string_view role_id,
                                   std::string_view secret_id, const LoginOrigin& origin) {
  if (role_id.empty()) {
    return InvalidArgument("missing role_id");
  }
  std::string name;
  const std::optional<StoredAppRole> role = KMS_TRY(RoleByRoleId(mount, role_id, name));
  // Said of roles that do not exist as well, so that it does not tell which do.
  const bool needs_secret_id = !role || role->settings.bind_secret_id;
  if (needs_secret_id && secret_id.empty()) {
    return InvalidArgument("missing secret_id");
  }
  if (!role || secret_id.size() > kMaxSecretIdBytes) {
    return WrongCredentials();
  }
  const bool from_role = AllowedFrom(role->settings.secret_id_bound_cidrs, origin.address) &&
                         AllowedFrom(role->settings.parameters.bound_cidrs, origin.address);
  StoredSecretId spent;
  if (needs_secret_id) {
    if (!from_role) {  // looked at, and not used up from where it does not count
      const Sha256Digest hash = KMS_TRY(SecretIdHash(*role, secret_id));
      const std::optional<LoadedSecretId> good =
          KMS_TRY(LoadSecretId(SecretIdPath(mount, role->id.ToString(), hash)));
      return good ? WrongAddress(origin.address, "role") : WrongCredentials();
    }
    spent = KMS_TRY(SpendSecretId(mount, *role, secret_id, origin.address));
  } else if (!from_role) {
    return WrongAddress(origin.address, "role");
  }
  return GrantOf(*role, name, spent);
}

}  // namespace kms
