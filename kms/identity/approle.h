// SPDX-License-Identifier: Apache-2.0
// AppRoles: applications that log in with a role_id and a secret id (transit-api 10.3).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/identity_name.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/identity/approle_records.h"
#include "kms/identity/auth_mounts.h"
#include "kms/master/sealed_store.h"

namespace kms {

inline constexpr std::size_t kMaxRoleIdBytes = 256;
inline constexpr std::size_t kMaxSecretIdBytes = 1024;
inline constexpr std::size_t kMaxSecretIdMetadata = 64;

// Whether a role may have this role_id: 1 to kMaxRoleIdBytes of a closed alphabet, so that it needs
// no escaping in paths, policies and logs.
bool IsRoleId(std::string_view role_id);

struct AppRoleInfo {
  std::string role_id;
  AppRoleSettings settings;
};

struct SecretIdRequest {
  std::map<std::string, std::string> metadata;
  std::vector<CidrBlock> cidr_list;
  std::vector<CidrBlock> token_bound_cidrs;
  std::optional<std::int64_t> num_uses;     // nullopt: the role's; 0: not limited
  std::optional<std::int64_t> ttl_seconds;  // nullopt: the role's; 0: never
  std::string_view secret_id;               // chosen by the caller; empty: made here
};

struct NewSecretId {
  SecretBytes secret_id;  // shown once; empty when the caller chose it
  std::string accessor;
  std::int64_t ttl_seconds = 0;
  std::int64_t num_uses = 0;
};

// The keyed hash a secret id is known by. Errors: kInternal.
Result<Sha256Digest> SecretIdHash(const StoredAppRole& role, std::string_view secret_id);

// Entries in `sys` below auth/<mount accessor>/ (formats in approle_records.cpp). Secret ids are
// stored only as keyed hashes. Names are judged by whoever made the IdentityName.
// Thread rule: any thread. No lock is held: everything is compare-and-set.
class AppRoles {
 public:
  // What a write sets; may run more than once. `role_id` is the present one, empty for a new role,
  // which then gets a random one.
  using Change = std::function<Status(AppRoleSettings& settings, std::string& role_id)>;

  // Both must outlive it.
  AppRoles(SealedStore& sys, const Clock& clock) : sys_(sys), clock_(clock) {}

  // Makes the role, or changes it. Errors: kInvalidArgument "at least one constraint should be
  // enabled on the role", "role_id already in use", negative numbers, a malformed role_id,
  // local_secret_ids changed later; those of `change`; store errors.
  Status Write(const AuthMount& mount, const IdentityName& name, const Change& change);
  // Errors: kNotFound `role "x" does not exist`, as Write.
  Status ChangeExisting(const AuthMount& mount, const IdentityName& name, const Change& change);
  Result<std::optional<AppRoleInfo>> Read(const AuthMount& mount, const IdentityName& name);
  // In bytewise order, after `after`; `limit` 0: all.
  Result<std::vector<std::string>> List(const AuthMount& mount, std::string_view after,
                                        std::size_t limit);
  // The role and its role_id first, in one commit: nobody logs in by it from then on; then its
  // secret ids. Success when absent.
  Status Delete(const AuthMount& mount, const IdentityName& name);

  // Errors: kInvalidArgument `role "x" does not exist`, "bind_secret_id is not set on the role",
  // num_uses or ttl beyond the role's, blocks outside of the role's, "SecretID is already
  // registered", bad metadata; store errors.
  Result<NewSecretId> CreateSecretId(const AuthMount& mount, const IdentityName& name,
                                     const SecretIdRequest& request);
  // Accessors of the role. Errors: kNotFound `role "x" does not exist`.
  Result<std::vector<std::string>> ListSecretIds(const AuthMount& mount, const IdentityName& name,
                                                 std::string_view after, std::size_t limit);
  // nullopt: not a good secret id of this role. Errors: kNotFound as above.
  Result<std::optional<StoredSecretId>> LookupSecretId(const AuthMount& mount,
                                                       const IdentityName& name,
                                                       std::string_view secret_id);
  // Errors: kNotFound "failed to find accessor entry for secret_id_accessor", also for accessors of
  // other roles.
  Result<StoredSecretId> LookupAccessor(const AuthMount& mount, const IdentityName& name,
                                        std::string_view accessor);
  // Success when it is none of this role. From the return on nobody logs in by it.
  Status DestroySecretId(const AuthMount& mount, const IdentityName& name,
                         std::string_view secret_id);
  // Errors: as LookupAccessor.
  Status DestroyAccessor(const AuthMount& mount, const IdentityName& name,
                         std::string_view accessor);
  // Deletes secret ids that expired, and what a crash in the middle of Delete left. `stop` is asked
  // between entries. Returns how many went.
  Result<std::size_t> Tidy(const AuthMount& mount, const std::function<bool()>& stop);

  // A use of the secret id is taken durably before the answer; with the last one it goes. Exact
  // under concurrency; a crash wastes a use and never repeats one. Errors: kInvalidArgument
  // "missing role_id", "missing secret_id"; kUnauthenticated "invalid role or secret ID" whatever
  // of the two is wrong, and the address refused by the secret id's or the role's blocks (told only
  // to who has a good secret id); store errors.
  Result<LoginGrant> Login(const AuthMount& mount, std::string_view role_id,
                           std::string_view secret_id, const LoginOrigin& origin);

 private:
  struct LoadedRole {
    StoredAppRole role;
    Revision revision = 0;
  };
  struct LoadedSecretId {
    StoredSecretId secret_id;
    Revision revision = 0;
  };

  // --- approle.cpp ---
  Result<std::optional<LoadedRole>> Load(const AuthMount& mount, std::string_view name);
  Status WriteRole(const AuthMount& mount, const IdentityName& name, const Change& change,
                   bool must_exist);
  Status CommitRole(const AuthMount& mount, const IdentityName& name, const LoadedRole& changed,
                    const std::string& old_role_id);

  // --- approle_secret_ids.cpp ---
  // Errors: kNotFound `role "x" does not exist`.
  Result<StoredAppRole> RoleOf(const AuthMount& mount, const IdentityName& name);
  Result<std::optional<LoadedSecretId>> LoadSecretId(const std::string& path);
  Result<Sha256Digest> FindAccessor(const AuthMount& mount, const StoredAppRole& role,
                                    std::string_view accessor);
  Status Destroy(const AuthMount& mount, const StoredAppRole& role, const Sha256Digest& hash);
  [[nodiscard]] bool IsExpired(const StoredSecretId& secret_id) const;

  // --- approle_tidy.cpp ---
  struct TidyRun;
  Result<std::set<std::string>> RoleIds(const AuthMount& mount);
  Result<bool> TidySecretId(TidyRun& run, const std::string& path);
  Result<bool> TidyAccessor(TidyRun& run, const std::string& path);

  // --- approle_login.cpp ---
  Result<std::optional<StoredAppRole>> RoleByRoleId(const AuthMount& mount,
                                                    std::string_view role_id, std::string& name);
  Result<StoredSecretId> SpendSecretId(const AuthMount& mount, const StoredAppRole& role,
                                       std::string_view secret_id, std::string_view address);
  Status TakeUse(const AuthMount& mount, const StoredAppRole& role, const Sha256Digest& hash,
                 LoadedSecretId loaded);

  SealedStore& sys_;
  const Clock& clock_;
};

}  // namespace kms
