// SPDX-License-Identifier: Apache-2.0
// What the parts of TokenStore share. Included by token_*.cpp only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kms/identity/revoked_sources.h"
#include "kms/identity/root_token.h"
#include "kms/identity/token_cache.h"
#include "kms/identity/token_key.h"
#include "kms/identity/token_record.h"
#include "kms/identity/token_store.h"
#include "kms/identity/token_uses.h"

namespace kms {

// A token as long as this is not looked at.
inline constexpr std::size_t kMaxTokenBytes = 8192;
// How many ancestors a token may have: each is asked when it is read.
inline constexpr std::uint16_t kMaxGenerations = 32;

inline Error TokenDenied() { return MakeError(ErrorCode::kPermissionDenied, "permission denied"); }

struct TokenStore::Impl {
  Impl(SealedStore& sys_store, PolicyStore& policy_store, const Clock& time,
       TokenStoreOptions store_options, TokenKey token_key)
      : sys(sys_store),
        policies(policy_store),
        clock(time),
        options(store_options),
        key(std::move(token_key)),
        cache(store_options.max_warm_tokens) {}

  // A token that is in the store, good or not.
  struct Entry {
    StoredToken token;
    Revision revision = 0;
  };
  // A token that is good now.
  struct Good {
    StoredToken token;
    Revision revision = 0;  // 0 for a batch token
    PrincipalHandle principal;
    // Where its children hang in the cache; nullptr when it is not kept there.
    TokenLinkHandle link;
  };
  enum class Keep { kYes, kNo };  // in the cache

  // --- reading (token_load.cpp) ---
  Result<std::optional<Entry>> Read(const Sha256Digest& id);
  // The token if it is good with all of its ancestors; reads those that are not warm. Not for the
  // configured root token.
  Result<std::optional<Good>> FindGood(const Sha256Digest& id, Keep keep = Keep::kYes);
  Result<std::optional<Good>> FindGoodBatch(std::string_view token, const Sha256Digest& hash);
  // Whichever of the three it is; the root's has a principal only.
  Result<std::optional<Good>> FindByToken(std::string_view token);
  // Whether the token referred to is good.
  Result<bool> IsGood(const TokenReference& token);
  [[nodiscard]] PrincipalHandle MakePrincipal(const StoredToken& token) const;
  Result<std::optional<Sha256Digest>> IdOfAccessor(std::string_view accessor);

  // --- writing (token_issue.cpp) ---
  // Writes the whole record over the one of that revision. Errors: kConflict, store errors.
  Status Rewrite(const StoredToken& token, Revision expected);
  // Writes the entries of a new token. Errors: kConflict when the hash is in use, store errors.
  Status Insert(const StoredToken& token);
  // The same for a chosen id. Errors: kInvalidArgument when it is in use.
  Status InsertCustom(const StoredToken& token);
  // What a new token has from its parent. Errors: kPermissionDenied, kInvalidArgument
  // (generations).
  Status SetParent(const TokenGrant& grant, StoredToken& token);
  Result<IssuedToken> IssueBatch(const StoredToken& token);
  Result<IssuedToken> IssueService(const TokenGrant& grant, StoredToken token);

  // --- deleting (token_revoke.cpp) ---
  // Deletes the entries of one token in one commit. Errors: store errors; kConflict when `expected`
  // is given and it was changed meanwhile.
  Status Delete(const StoredToken& token, std::optional<Revision> expected = std::nullopt);
  // Deletes everything below a token that is dead already; returns how many tokens went.
  Result<std::size_t> DeleteDescendants(const Sha256Digest& id);
  Status RevokeRoot();
  // Lets the token go and its whole tree; 0 when it was gone.
  Result<std::size_t> RevokeTree(const Sha256Digest& id);
  Status MakeOrphans(const Sha256Digest& parent);
  Result<std::size_t> TidyTokens(const std::function<bool()>& stop);
  Result<std::size_t> TidyLinks(const std::function<bool()>& stop);

  // --- uses ---
  Result<std::int64_t> TakeUses(const Sha256Digest& id, std::int64_t wanted);

  [[nodiscard]] std::int64_t NowSeconds() const { return ToUnixSeconds(clock.Now()); }
  [[nodiscard]] std::int64_t NowNanoseconds() const {
    return clock.Now().time_since_epoch().count();
  }
  [[nodiscard]] bool IsConfiguredRoot(const Sha256Digest& id) const {
    return EqualInConstantTime(id, root_hash);
  }

  SealedStore& sys;
  PolicyStore& policies;
  const Clock& clock;
  const TokenStoreOptions options;
  const TokenKey key;
  std::unique_ptr<RevokedSources> sources;  // set once, before anyone asks

  // The configured root token: known by its hash, no entry of its own among the others. Set once.
  Sha256Digest root_hash{};
  Sha256Digest root_digest{};  // as in its record
  PrincipalHandle root;
  TokenLinkHandle root_link;  // stale once it is revoked

  TokenCache cache;
  TokenUses uses;
};

}  // namespace kms
