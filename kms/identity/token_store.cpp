// SPDX-License-Identifier: Apache-2.0
// Formats: token_record.cpp, batch_token.cpp, revoked_sources.cpp, root_token.cpp, token_key.cpp.
//
// A token dies with one commit, its own: whatever hangs on it is refused from then on, because
// every read of a token asks for its ancestors (token_load.cpp). The entries of its descendants are
// deleted afterwards, and by Tidy when a crash came between.
#include "kms/identity/token_store.h"

#include <algorithm>
#include <utility>

#include "kms/identity/token_lifetime.h"
#include "kms/identity/token_store_impl.h"

namespace kms {

namespace {

// Someone else's commit is read and tried again over.
constexpr int kAttempts = 8;

bool BoundTo(const Principal& principal, const TokenContext& context) {
  if (principal.bound_certificate &&
      (context.certificate == nullptr || *context.certificate != *principal.bound_certificate)) {
    return false;
  }
  return AllowedFrom(principal.bound_cidrs, context.address);
}

PrincipalHandle RootPrincipal(const RootToken& record, const Sha256Digest& hash) {
  const std::string accessor = RootTokenAccessor(record.digest);
  return std::make_shared<const Principal>(Principal{
      .id = hash,
      .accessor = accessor,
      .display_name = "root",
      .policies = {"root"},
      .path = "auth/token/root",
      .actor = accessor,
      .created_unix_seconds = record.created_unix_seconds,
      .is_root = true,
  });
}

// As lookups show it.
PrincipalHandle WithUsesLeft(const StoredToken& token, PrincipalHandle principal) {
  if (principal->num_uses == 0) {
    return principal;
  }
  auto shown = std::make_shared<Principal>(*principal);
  shown->num_uses = token.uses_left;
  return shown;
}

TokenLifetime LifetimeOf(const StoredToken& token) {
  return {.ttl_seconds = token.principal.creation_ttl_seconds,
          .max_ttl_seconds = token.max_ttl_seconds,
          .explicit_max_ttl_seconds = token.principal.explicit_max_ttl_seconds,
          .period_seconds = token.principal.period_seconds};
}

}  // namespace

Result<std::unique_ptr<TokenStore>> TokenStore::Open(SealedStore& sys, PolicyStore& policies,
                                                     const Clock& clock,
                                                     std::string_view root_token,
                                                     TokenStoreOptions options) {
  TokenKey key = KMS_TRY(TokenKey::Load(sys));
  auto impl = std::make_unique<Impl>(sys, policies, clock, options, std::move(key));
  impl->sources = KMS_TRY(RevokedSources::Open(sys, impl->key, impl->NowNanoseconds()));
  const RootToken record = KMS_TRY(RecordRootToken(sys, clock, root_token));
  impl->root_hash = impl->key.HashOf(root_token);
  impl->root_digest = record.digest;
  impl->root = RootPrincipal(record, impl->root_hash);
  impl->root_link = std::make_shared<const TokenLink>(0, 0, nullptr);
  impl->root_link->stale = record.revoked;
  return std::unique_ptr<TokenStore>(new TokenStore(std::move(impl)));
}

TokenStore::TokenStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenStore::~TokenStore() = default;

const TokenStoreOptions& TokenStore::options() const { return impl_->options; }

std::string TokenStore::EntityId(std::string_view mount_accessor, std::string_view alias) const {
  return impl_->key.EntityId(mount_accessor, alias);
}

PrincipalHandle TokenStore::FindWarm(std::string_view token, const TokenContext& context) const {
  if (token.size() > kMaxTokenBytes) {
    return nullptr;
  }
  const Sha256Digest hash = impl_->key.HashOf(token);
  if (impl_->IsConfiguredRoot(hash)) {
    return impl_->root_link->stale ? nullptr : impl_->root;
  }
  PrincipalHandle principal =
      impl_->cache.Find(hash, impl_->NowSeconds(), impl_->policies.generation());
  if (principal == nullptr || !BoundTo(*principal, context)) {
    return nullptr;
  }
  return principal;
}

Result<PrincipalHandle> TokenStore::Authenticate(std::string_view token,
                                                 const TokenContext& context) {
  if (PrincipalHandle warm = FindWarm(token, context)) {
    return warm;
  }
  std::optional<Impl::Good> found = KMS_TRY(impl_->FindByToken(token));
  if (!found || !BoundTo(*found->principal, context)) {
    return TokenDenied();
  }
  return std::move(found->principal);
}

Status TokenStore::SpendUse(const Principal& principal) {
  if (principal.num_uses == 0) {
    return Ok();
  }
  return impl_->uses.SpendOne(principal.id, [this](const Sha256Digest& id, std::int64_t wanted) {
    return impl_->TakeUses(id, wanted);
  });
}

// A commit whose outcome is unknown may have taken uses that nobody had: they are wasted.
Result<std::int64_t> TokenStore::Impl::TakeUses(const Sha256Digest& id, std::int64_t wanted) {
  bool uncertain = false;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::optional<Entry> entry = KMS_TRY(Read(id));
    if (!entry) {
      break;
    }
    const std::int64_t taken = std::min(wanted, entry->token.uses_left);
    entry->token.uses_left -= taken;
    Status committed = Ok();
    if (entry->token.uses_left == 0) {
      committed = Delete(entry->token, entry->revision);
    } else {
      committed = Rewrite(entry->token, entry->revision);
    }
    if (committed.has_value()) {
      return taken;
    }
    uncertain = uncertain || committed.error().code == ErrorCode::kOutcomeUnknown;
    if (!uncertain && committed.error().code != ErrorCode::kConflict) {
      return committed.error();
    }
  }
  if (uncertain) {
    return Unavailable("the use of the token could not be counted");
  }
  return std::int64_t{0};
}

Result<std::int64_t> TokenStore::UsesLeft(const Principal& principal) {
  if (principal.num_uses == 0) {
    return std::int64_t{0};
  }
  const std::optional<Impl::Entry> entry = KMS_TRY(impl_->Read(principal.id));
  if (!entry) {
    return NotFound("bad token");
  }
  return entry->token.uses_left;
}

Result<PrincipalHandle> TokenStore::Lookup(std::string_view token) {
  const std::optional<Impl::Good> found = KMS_TRY(impl_->FindByToken(token));
  if (!found) {
    return NotFound("bad token");
  }
  return WithUsesLeft(found->token, found->principal);
}

Result<PrincipalHandle> TokenStore::LookupAccessor(std::string_view accessor) {
  const std::optional<Sha256Digest> id = KMS_TRY(impl_->IdOfAccessor(accessor));
  if (id && impl_->IsConfiguredRoot(*id) && !impl_->root_link->stale) {
    return impl_->root;
  }
  std::optional<Impl::Good> found;
  if (id) {
    found = KMS_TRY(impl_->FindGood(*id));
  }
  if (!found || found->principal->accessor != accessor) {
    return NotFound("invalid accessor");
  }
  return WithUsesLeft(found->token, found->principal);
}

Result<PrincipalHandle> TokenStore::Renew(const Principal& principal,
                                          std::int64_t increment_seconds) {
  if (principal.type == TokenType::kBatch) {
    return InvalidArgument("batch tokens cannot be renewed");
  }
  if (impl_->IsConfiguredRoot(principal.id)) {
    return impl_->root;  // clients renew at their start; there is nothing to move
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::optional<Impl::Good> found = KMS_TRY(impl_->FindGood(principal.id));
    if (!found || found->principal->accessor != principal.accessor) {
      return NotFound("bad token");
    }
    StoredToken& token = found->token;
    if (token.principal.expires_unix_seconds == 0) {
      return std::move(found->principal);
    }
    if (!token.principal.renewable) {
      return InvalidArgument("lease is not renewable");
    }
    const std::int64_t now = impl_->NowSeconds();
    const std::int64_t asked =
        increment_seconds > 0 ? increment_seconds : token.principal.creation_ttl_seconds;
    token.principal.expires_unix_seconds =
        RenewedEnd(LifetimeOf(token), token.principal.created_unix_seconds, now, asked);
    token.principal.last_renewal_unix_seconds = now;
    const Status committed = impl_->Rewrite(token, found->revision);
    impl_->cache.Drop(principal.id);
    if (committed.has_value()) {
      return impl_->MakePrincipal(token);
    }
    // A renewal that happened all the same is only done again.
    const ErrorCode code = committed.error().code;
    if (code != ErrorCode::kConflict && code != ErrorCode::kOutcomeUnknown) {
      return committed.error();
    }
  }
  return Unavailable("the token could not be renewed, try again");
}

Result<std::vector<std::string>> TokenStore::ListAccessors(std::string_view after,
                                                           std::size_t limit) {
  const std::string path = after.empty() ? std::string{} : AccessorPath(after);
  const std::vector<ListedEntry> page = KMS_TRY(impl_->sys.List(kAccessorsPrefix, path, limit));
  std::vector<std::string> accessors;
  for (const ListedEntry& entry : page) {
    accessors.push_back(entry.path.substr(kAccessorsPrefix.size()));
  }
  const std::string& root = impl_->root->accessor;
  if (!impl_->root_link->stale && root > after) {
    accessors.insert(std::ranges::lower_bound(accessors, root), root);
    accessors.resize(std::min(accessors.size(), limit));
  }
  return accessors;
}

}  // namespace kms
