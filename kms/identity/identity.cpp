// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/identity.h"

#include <utility>

#include "kms/identity/token_key.h"

namespace kms {
namespace {

class NoFetcher final : public DocumentFetcher {
 public:
  Result<std::string> Fetch(const std::string& /*url*/, std::string_view /*ca_pem*/,
                            std::size_t /*max_bytes*/, Deadline /*deadline*/) override {
    return Unavailable("this server fetches no documents");
  }
};

DocumentFetcher& FetcherOf(const IdentityOptions& options) {
  static NoFetcher none;
  return options.fetcher == nullptr ? none : *options.fetcher;
}

}  // namespace

Result<std::unique_ptr<Identity>> Identity::Open(SealedStore& sys, const Clock& clock,
                                                 const IdentityOptions& options) {
  std::unique_ptr<Identity> identity(new Identity());
  identity->policies_ = KMS_TRY(PolicyStore::Open(sys));
  identity->mounts_ = KMS_TRY(AuthMounts::Open(sys));
  if (options.forget_tokens) {
    KMS_TRY(TokenKey::Replace(sys));
  }
  identity->tokens_ = KMS_TRY(
      TokenStore::Open(sys, *identity->policies_, clock, options.root_token, options.tokens));
  identity->token_roles_ = std::make_unique<TokenRoles>(sys);
  identity->approles_ = std::make_unique<AppRoles>(sys, clock);
  identity->hasher_ =
      std::make_unique<PasswordHasher>(options.password_cost, PasswordHasher::Limits{});
  identity->users_ = std::make_unique<Userpass>(sys, clock, *identity->hasher_);
  identity->certificates_ = std::make_unique<CertAuth>(sys, clock);
  identity->jwt_ = std::make_unique<JwtAuth>(sys, clock, FetcherOf(options));
  identity->wrapped_ = std::make_unique<WrappedResponses>(sys, *identity->tokens_, clock);
  identity->approvals_ = std::make_unique<Approvals>(sys, clock);
  identity->limit_settings_ = KMS_TRY(LimitSettings::Open(sys));
  return identity;
}

std::size_t Identity::Tidy(
    const std::function<bool()>& stop,
    const std::function<void(std::string_view what, const Error& error)>& report) {
  std::size_t gone = 0;
  const auto run = [&](std::string_view what, const Result<std::size_t>& tidied) {
    gone += tidied.value_or(0);
    if (!tidied) {
      report(what, tidied.error());
    }
  };
  run("tokens", tokens_->Tidy(stop));
  run("wrapped answers", wrapped_->Tidy(stop));
  run("approvals", approvals_->Tidy(stop));
  for (const AuthMountHandle& mount : mounts_->List()) {
    if (mount->type == "approle") {
      run("secret IDs of " + mount->path, approles_->Tidy(*mount, stop));
    } else if (mount->type == "jwt") {
      run("seen JWTs of " + mount->path, jwt_->Tidy(*mount, stop));
    }
  }
  return gone;
}

}  // namespace kms
