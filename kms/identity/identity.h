// SPDX-License-Identifier: Apache-2.0
// Identity: everything that is stored about who may do what, put together.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "kms/auth/document_fetcher.h"
#include "kms/auth/password_hash.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/identity/approle.h"
#include "kms/identity/approvals.h"
#include "kms/identity/auth_mounts.h"
#include "kms/identity/cert_auth.h"
#include "kms/identity/jwt_auth.h"
#include "kms/identity/limit_settings.h"
#include "kms/identity/policy_store.h"
#include "kms/identity/token_roles.h"
#include "kms/identity/token_store.h"
#include "kms/identity/userpass.h"
#include "kms/identity/wrapped_responses.h"
#include "kms/master/sealed_store.h"

namespace kms {

struct IdentityOptions {
  std::string_view root_token;
  TokenStoreOptions tokens;
  DocumentFetcher* fetcher = nullptr;  // must outlive it; null: nothing is fetched
  PasswordHashCost password_cost;  // of passwords written from now on
  // Every token but the root token is unknown from here on: for a store that came back from before
  // some of them were revoked.
  bool forget_tokens = false;
};

// Thread rule: as its parts, any thread.
class Identity {
 public:
  // `sys` and `clock` must outlive it. Errors: those of the parts.
  static Result<std::unique_ptr<Identity>> Open(SealedStore& sys, const Clock& clock,
                                                const IdentityOptions& options);

  // Deletes what is over and what crashes left behind: tokens, secret IDs, seen JWTs, wrapped
  // answers, approvals. Nobody is let in by any of it; `stop` is asked between entries. What fails is
  // told to `report` and the rest goes on. Returns how many entries went.
  std::size_t Tidy(const std::function<bool()>& stop,
                   const std::function<void(std::string_view what, const Error& error)>& report);

  [[nodiscard]] PolicyStore& policies() { return *policies_; }
  [[nodiscard]] TokenStore& tokens() { return *tokens_; }
  [[nodiscard]] AuthMounts& mounts() { return *mounts_; }
  [[nodiscard]] TokenRoles& token_roles() { return *token_roles_; }
  [[nodiscard]] AppRoles& approles() { return *approles_; }
  [[nodiscard]] Userpass& users() { return *users_; }
  [[nodiscard]] CertAuth& certificates() { return *certificates_; }
  [[nodiscard]] JwtAuth& jwt() { return *jwt_; }
  [[nodiscard]] WrappedResponses& wrapped() { return *wrapped_; }
  [[nodiscard]] Approvals& approvals() { return *approvals_; }
  [[nodiscard]] LimitSettings& limit_settings() { return *limit_settings_; }

 private:
  Identity() = default;

  std::unique_ptr<PolicyStore> policies_;
  std::unique_ptr<TokenStore> tokens_;
  std::unique_ptr<AuthMounts> mounts_;
  std::unique_ptr<TokenRoles> token_roles_;
  std::unique_ptr<AppRoles> approles_;
  std::unique_ptr<PasswordHasher> hasher_;
  std::unique_ptr<Userpass> users_;
  std::unique_ptr<CertAuth> certificates_;
  std::unique_ptr<JwtAuth> jwt_;
  std::unique_ptr<WrappedResponses> wrapped_;
  std::unique_ptr<Approvals> approvals_;
  std::unique_ptr<LimitSettings> limit_settings_;
};

}  // namespace kms
