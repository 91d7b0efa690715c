// SPDX-License-Identifier: Apache-2.0
// TokenRoles: what auth/token/create/:role gives whoever may use the role (transit-api 10.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/identity_name.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/result.h"
#include "kms/master/sealed_store.h"

namespace kms {

struct TokenRole {
  std::vector<std::string> allowed_policies;     // canonical, sorted
  std::vector<std::string> disallowed_policies;  // canonical, sorted
  // May begin or end with '*'.
  std::vector<std::string> allowed_policies_glob;
  std::vector<std::string> disallowed_policies_glob;
  bool orphan = false;
  bool renewable = true;
  std::string path_suffix;     // empty: none
  TokenParameters parameters;  // their policies are not used

  // Whether it says itself which policies its tokens may have; else those of the caller bound them.
  [[nodiscard]] bool restricts_policies() const {
    return !allowed_policies.empty() || !allowed_policies_glob.empty();
  }
  [[nodiscard]] bool Allows(std::string_view policy) const;
  [[nodiscard]] bool Disallows(std::string_view policy) const;
};

// Entries in `sys`: token-roles/<name>. Thread rule: any thread; nothing is kept in memory.
class TokenRoles {
 public:
  // `sys` must outlive it.
  explicit TokenRoles(SealedStore& sys) : sys_(sys) {}

  // Errors: store errors, kCorrupted.
  Result<std::optional<TokenRole>> Read(const IdentityName& name);
  // Errors: store errors; kUnavailable when nothing was changed.
  Status Write(const IdentityName& name, const TokenRole& role);
  // Success when absent.
  Status Delete(const IdentityName& name);
  // Sorted; at most `limit` after `after`.
  Result<std::vector<std::string>> List(std::string_view after, std::size_t limit);

 private:
  SealedStore& sys_;
};

}  // namespace kms
