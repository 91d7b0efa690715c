// SPDX-License-Identifier: Apache-2.0
// AuthMounts: which login methods are enabled where (transit-api 9.5: sys/auth).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/token_parameters.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/sealed_store.h"

namespace kms {

// One enabled method. Immutable snapshot.
struct AuthMount {
  std::string path;      // without trailing '/': "approle", "team/jwt"
  std::string type;      // "approle", "userpass", "jwt", "cert"
  std::string accessor;  // "auth_approle_1a2b3c4d": names its entries; a path used again gets a new one
  std::string uuid;
  std::string description;
  std::int64_t default_lease_ttl_seconds = 0;  // 0: the server's
  std::int64_t max_lease_ttl_seconds = 0;
  GrantedTokenType token_type = GrantedTokenType::kDefault;

  // Where entries of this mount live in `sys`: "auth/<accessor>/".
  [[nodiscard]] std::string StorePrefix() const { return "auth/" + accessor + "/"; }
};

using AuthMountHandle = std::shared_ptr<const AuthMount>;

// Entries in `sys`: auth-mounts/<path>. Thread rule: any thread.
class AuthMounts {
 public:
  // `sys` must outlive it. Errors: store errors, kCorrupted.
  static Result<std::unique_ptr<AuthMounts>> Open(SealedStore& sys);

  // The mount whose path is the longest prefix of `path` ("approle/login" finds "approle"), or null;
  // `rest` receives what follows the '/'. One shared lock, no allocation.
  [[nodiscard]] AuthMountHandle FindByPath(std::string_view path, std::string_view& rest) const;
  [[nodiscard]] AuthMountHandle Find(std::string_view path) const;
  [[nodiscard]] AuthMountHandle FindByAccessor(std::string_view accessor) const;
  // Sorted by path.
  [[nodiscard]] std::vector<AuthMountHandle> List() const;

  // `mount.path` as a client wrote it ('/' at the ends is dropped); accessor and uuid are made here.
  // "kubernetes" and "oidc" are names of type "jwt". Errors: kInvalidArgument (bad path, unknown type,
  // path reserved), kAlreadyExists "path is already in use at NAME/" (nesting too), store errors.
  Result<AuthMountHandle> Enable(AuthMount mount);
  // Replaces description, lease times and token type. Errors: kNotFound, store errors.
  Status Tune(const AuthMount& mount);
  // Deletes the entry and every entry of the mount. Its tokens are the caller's to revoke first.
  // Success when absent.
  Status Disable(std::string_view path);

 private:
  explicit AuthMounts(SealedStore& sys) : sys_(sys) {}
  void Publish(const AuthMountHandle& mount);
  [[nodiscard]] Status CheckFree(std::string_view path) const;
  Status Write(const AuthMount& mount);

  SealedStore& sys_;
  Mutex write_mutex_;  // one change at a time; held over store commits
  mutable SharedMutex table_mutex_;
  std::map<std::string, AuthMountHandle, std::less<>> table_ KMS_GUARDED_BY(table_mutex_);
};

}  // namespace kms
