// SPDX-License-Identifier: Apache-2.0
// Roles: made, changed, read, deleted.
#include "kms/identity/approle.h"

#include <algorithm>
#include <utility>

#include "kms/base/random.h"
#include "kms/identity/approle_paths.h"
#include "kms/identity/entry_commit.h"

namespace kms {
namespace {

// Each round that fails is one in which somebody else changed the role.
constexpr int kRounds = 100;

bool IsRoleIdCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == ':' || c == '@';
}

Status CheckSettings(const AppRoleSettings& settings) {
  if (settings.secret_id_num_uses < 0) {
    return InvalidArgument("secret_id_num_uses cannot be negative");
  }
  if (settings.secret_id_ttl_seconds < 0) {
    return InvalidArgument("secret_id_ttl cannot be negative");
  }
  if (!settings.bind_secret_id && settings.secret_id_bound_cidrs.empty() &&
      settings.parameters.bound_cidrs.empty()) {
    return InvalidArgument("at least one constraint should be enabled on the role");
  }
  return Ok();
}

Result<StoredAppRole> NewRole() {
  StoredAppRole role;
  role.id = Uuid::Random();
  role.secret_id_key = KMS_TRY(SecretBytes::OfSize(kSecretIdKeyBytes));
  FillRandom(role.secret_id_key.MutableView());
  return role;
}

// Applies `change` and what every role must keep to.
Status Apply(const AppRoles::Change& change, bool is_new, StoredAppRole& role) {
  const bool was_local = role.settings.local_secret_ids;
  KMS_TRY(change(role.settings, role.role_id));
  if (!is_new && role.settings.local_secret_ids != was_local) {
    return InvalidArgument("local_secret_ids can only be modified during role creation");
  }
  if (is_new && role.role_id.empty()) {
    role.role_id = Uuid::Random().ToString();
  }
  if (!IsRoleId(role.role_id)) {
    return InvalidArgument("role_id must have 1 to 256 letters, digits, '-', '_', '.', ':' or '@'");
  }
  return CheckSettings(role.settings);
}

SealedMutation Deletion(std::string path) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = std::nullopt};
}

}  // namespace

// It becomes the name of an entity, which policies may be templated with (U5).
bool IsRoleId(std::string_view role_id) {
  return !role_id.empty() && role_id.size() <= kMaxRoleIdBytes &&
         std::ranges::all_of(role_id, IsRoleIdCharacter);
}

Result<std::optional<AppRoles::LoadedRole>> AppRoles::Load(const AuthMount& mount,
                                                           std::string_view name) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(RolePath(mount, name)));
  if (!entry) {
    return std::optional<LoadedRole>{};
  }
  LoadedRole loaded{.role = KMS_TRY(DecodeAppRole(entry->value.View())),
                    .revision = entry->revision};
  return std::optional<LoadedRole>(std::move(loaded));
}

// The role and the index of its role_id change together.
Status AppRoles::CommitRole(const AuthMount& mount, const IdentityName& name,
                            const LoadedRole& changed, const std::string& old_role_id) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = RolePath(mount, name.text()),
                       .value = KMS_TRY(EncodeAppRole(changed.role)),
                       .expected_revision = changed.revision});
  if (changed.role.role_id != old_role_id) {
    std::string index = RoleIdPath(mount, changed.role.role_id);
    const std::optional<OpenedEntry> taken = KMS_TRY(sys_.Get(index));
    if (taken) {
      return InvalidArgument("role_id already in use");
    }
    mutations.push_back({.path = std::move(index),
                         .value = KMS_TRY(EncodeRoleIdIndex(name.text())),
                         .expected_revision = 0});
    if (!old_role_id.empty()) {
      mutations.push_back(Deletion(RoleIdPath(mount, old_role_id)));
    }
  }
  return CommitEntries(sys_, std::move(mutations));
}

Status AppRoles::WriteRole(const AuthMount& mount, const IdentityName& name, const Change& change,
                           bool must_exist) {
  for (int round = 0; round < kRounds; ++round) {
    std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name.text()));
    if (!loaded && must_exist) {
      return NotFound("role \"" + name.text() + "\" does not exist");
    }
    const bool is_new = !loaded.has_value();
    if (is_new) {
      loaded = LoadedRole{.role = KMS_TRY(NewRole()), .revision = 0};
    }
    const std::string old_role_id = loaded->role.role_id;
    KMS_TRY(Apply(change, is_new, loaded->role));
    const Status stored = CommitRole(mount, name, *loaded, old_role_id);
    if (stored.has_value() || stored.error().code != ErrorCode::kConflict) {
      return stored;
    }
  }
  return Conflict("the role is being changed by others");
}

Status AppRoles::Write(const AuthMount& mount, const IdentityName& name, const Change& change) {
  return WriteRole(mount, name, change, /*must_exist=*/false);
}

Status AppRoles::ChangeExisting(const AuthMount& mount, const IdentityName& name,
                                const Change& change) {
  return WriteRole(mount, name, change, /*must_exist=*/true);
}

Result<std::optional<AppRoleInfo>> AppRoles::Read(const AuthMount& mount,
                                                  const IdentityName& name) {
  std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name.text()));
  if (!loaded) {
    return std::optional<AppRoleInfo>{};
  }
  return std::optional(AppRoleInfo{.role_id = std::move(loaded->role.role_id),
                                   .settings = std::move(loaded->role.settings)});
}

Result<std::vector<std::string>> AppRoles::List(const AuthMount& mount, std::string_view after,
                                                std::size_t limit) {
  return ListNamesBelow(sys_, RolesOf(mount), after, limit);
}

Status AppRoles::Delete(const AuthMount& mount, const IdentityName& name) {
  for (int round = 0; round < kRounds; ++round) {
    const std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name.text()));
    if (!loaded) {
      return Ok();
    }
    std::vector<SealedMutation> mutations;
    mutations.push_back(Deletion(RolePath(mount, name.text())));
    mutations.back().expected_revision = loaded->revision;
    mutations.push_back(Deletion(RoleIdPath(mount, loaded->role.role_id)));
    const Status deleted = CommitEntries(sys_, std::move(mutations));
    if (!deleted.has_value() && deleted.error().code == ErrorCode::kConflict) {
      continue;
    }
    KMS_TRY(deleted);
    const std::string id = loaded->role.id.ToString();
    KMS_TRY(DeleteEntriesBelow(sys_, SecretIdAccessorsOf(mount, id)));
    return DeleteEntriesBelow(sys_, SecretIdsOf(mount, id));
  }
  return Conflict("the role is being changed by others");
}

}  // namespace kms
