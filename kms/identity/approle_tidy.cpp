// SPDX-License-Identifier: Apache-2.0
// Clears away secret ids that nobody can log in with any more.
#include <utility>

#include "kms/identity/approle.h"
#include "kms/identity/approle_paths.h"
#include "kms/identity/entry_commit.h"

namespace kms {
namespace {

constexpr std::size_t kPage = 256;

// The segment of `path` behind `prefix`, which ends with '/': the id of the role.
std::string RoleIdIn(const std::string& path, const std::string& prefix) {
  return path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size());
}

SealedMutation DeletionOf(std::string path, std::optional<Revision> expected) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = expected};
}

// Whether something went: a change by somebody else in between means that it is alive.
Result<bool> DeleteUnlessChanged(SealedStore& sys, std::vector<SealedMutation> mutations) {
  const Status deleted = CommitEntries(sys, std::move(mutations));
  if (!deleted.has_value() && deleted.error().code == ErrorCode::kConflict) {
    return false;
  }
  KMS_TRY(deleted);
  return true;
}

}  // namespace

struct AppRoles::TidyRun {
  const AuthMount& mount;
  std::set<std::string> alive = {};  // ids of roles
  std::set<std::string> gone = {};
};

Result<std::set<std::string>> AppRoles::RoleIds(const AuthMount& mount) {
  const std::vector<std::string> names = KMS_TRY(List(mount, {}, 0));
  std::set<std::string> ids;
  for (const std::string& name : names) {
    const std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name));
    if (loaded) {
      ids.insert(loaded->role.id.ToString());
    }
  }
  return ids;
}

Result<bool> AppRoles::TidySecretId(TidyRun& run, const std::string& path) {
  const std::string role = RoleIdIn(path, AllSecretIds(run.mount));
  // A role is there before its secret ids, so one that is missing now, after they were listed, is
  // gone for good.
  if (!run.alive.contains(role) && !run.gone.contains(role)) {
    run.alive = KMS_TRY(RoleIds(run.mount));
  }
  const bool orphan = !run.alive.contains(role);
  if (orphan) {
    run.gone.insert(role);
  }
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return false;
  }
  const StoredSecretId stored = KMS_TRY(DecodeSecretId(entry->value.View()));
  if (!orphan && !IsExpired(stored)) {
    return false;
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back(DeletionOf(path, entry->revision));
  mutations.push_back(
      DeletionOf(SecretIdAccessorPath(run.mount, role, stored.accessor), std::nullopt));
  return DeleteUnlessChanged(sys_, std::move(mutations));
}

// An accessor and its secret id come and go in one commit, except when a role is deleted.
Result<bool> AppRoles::TidyAccessor(TidyRun& run, const std::string& path) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return false;
  }
  const Sha256Digest hash = KMS_TRY(DecodeSecretIdAccessor(entry->value.View()));
  const std::string role = RoleIdIn(path, AllSecretIdAccessors(run.mount));
  const std::optional<OpenedEntry> secret_id =
      KMS_TRY(sys_.Get(SecretIdPath(run.mount, role, hash)));
  if (secret_id) {
    return false;
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back(DeletionOf(path, entry->revision));
  return DeleteUnlessChanged(sys_, std::move(mutations));
}

Result<std::size_t> AppRoles::Tidy(const AuthMount& mount, const std::function<bool()>& stop) {
  using Visit = Result<bool> (AppRoles::*)(TidyRun&, const std::string&);
  struct Folder {
    std::string prefix;
    Visit visit;
  };
  const Folder folders[] = {{AllSecretIds(mount), &AppRoles::TidySecretId},
                            {AllSecretIdAccessors(mount), &AppRoles::TidyAccessor}};
  TidyRun run{.mount = mount};
  std::size_t gone = 0;
  for (const Folder& folder : folders) {
    std::string last;
    while (true) {
      const std::vector<ListedEntry> page = KMS_TRY(sys_.List(folder.prefix, last, kPage));
      for (const ListedEntry& entry : page) {
        if (stop()) {
          return gone;
        }
        const bool went = KMS_TRY((this->*folder.visit)(run, entry.path));
        gone += went ? 1U : 0U;
        last = entry.path;
      }
      if (page.size() < kPage) {
        break;
      }
    }
  }
  return gone;
}

}  // namespace kms
