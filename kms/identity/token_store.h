// SPDX-License-Identifier: Apache-2.0
// TokenStore: every token of the service: issued, looked up, renewed, revoked. Keeps keyed hashes
// only, never a token (transit-api 10.1, 10.2).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/principal.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/identity/policy_store.h"
#include "kms/master/sealed_store.h"

namespace kms {

struct TokenStoreOptions {
  std::int64_t default_ttl_seconds = 2'764'800;  // 768 h
  std::int64_t max_ttl_seconds = 2'764'800;
  std::size_t max_warm_tokens = 100'000;
};

// What a new token gets. Everything was checked by the caller but what Issue says it checks.
struct TokenGrant {
  std::vector<std::string> policies;  // canonical, sorted, unique, "default" included if wanted
  std::map<std::string, std::string> metadata;
  std::string display_name = "token";
  std::string path = "auth/token/create";
  std::string role;
  TokenType type = TokenType::kService;
  std::string entity_id;
  std::string alias_mount;
  std::string alias_name;
  std::int64_t ttl_seconds = 0;      // 0: the default
  std::int64_t max_ttl_seconds = 0;  // 0: the server's
  std::int64_t explicit_max_ttl_seconds = 0;
  std::int64_t period_seconds = 0;
  std::int64_t num_uses = 0;
  bool renewable = true;
  bool never_expires = false;  // root tokens only
  PrincipalHandle parent;      // null: an orphan
  std::string actor;           // empty: the parent's; else entity_id; else its own accessor
  std::vector<CidrBlock> bound_cidrs;
  std::optional<Sha256Digest> bound_certificate;
  std::string custom_id;  // the token itself, chosen by a caller with sudo; empty: made here
};

struct IssuedToken {
  SecretBytes token;  // shown once
  PrincipalHandle principal;
};

// Where a request comes from, for what tokens are bound to.
struct TokenContext {
  std::string_view address;
  const Sha256Digest* certificate = nullptr;  // of the leaf the client presented; null: none
};

// Which tokens to revoke: those whose login came through `mount_accessor`, and when given through
// `role` or of `alias_name`. Children go too.
struct TokenSource {
  std::string mount_accessor;
  std::optional<std::string> role;
  std::optional<std::string> alias_name;
};

// Entries in `sys`: tokens/<hash>, tokens/root, accessors/<accessor>, children/<parent
// hash>/<hash>, revoked-sources/<mount accessor>/…, identity/token-key (formats: see the .cpp).
// Thread rule: any thread. No lock is held across store I/O.
class TokenStore {
 public:
  // Makes the hashing key on first use. `root_token` is the configured one; it is remembered, and
  // stays revoked once it was (kms/identity/root_token.h). All references must outlive it.
  // Errors: kInvalidArgument for an empty root token, store errors.
  static Result<std::unique_ptr<TokenStore>> Open(SealedStore& sys, PolicyStore& policies,
                                                  const Clock& clock, std::string_view root_token,
                                                  TokenStoreOptions options);
  ~TokenStore();

  // --- hot path ---
  // The principal if its token is in memory, good now, bound to nothing that `context` misses and
  // not limited in uses; nullptr otherwise (ask Authenticate). One keyed hash and one shared lock;
  // no allocation, no I/O. Its time does not depend on how much of a wrong token is right.
  [[nodiscard]] PrincipalHandle FindWarm(std::string_view token, const TokenContext& context) const;

  // --- slow lane ---
  // Errors: kPermissionDenied "permission denied" for a missing, unknown, expired, revoked, used-up
  // or wrongly bound token alike; kUnavailable and others of the store (never "good"). What a
  // wrapping token may do is left to its policy.
  Result<PrincipalHandle> Authenticate(std::string_view token, const TokenContext& context);
  // Takes one use of a limited token, durably, before what it is used for: exact under concurrency,
  // and a crash wastes a use but never repeats one. With the last use the token is revoked, with
  // its children. Does nothing for unlimited ones. Errors: kPermissionDenied when none was left,
  // store errors (nothing may be done then).
  Status SpendUse(const Principal& principal);

  // Errors: kInvalidArgument (custom_id in use or malformed; a parent that cannot have children:
  // batch or limited in uses; root below another than root; batch token with what it cannot have:
  // root, uses, period; too many generations), kPermissionDenied (parent is no longer good), store
  // errors.
  Result<IssuedToken> Issue(const TokenGrant& grant);

  // What is stored now, uses left included as num_uses. Errors: kNotFound.
  Result<PrincipalHandle> Lookup(std::string_view token);
  Result<PrincipalHandle> LookupAccessor(std::string_view accessor);
  // Uses left of a limited token; as granted, for others 0. Errors: kNotFound.
  Result<std::int64_t> UsesLeft(const Principal& principal);
  // Moves the end: by `increment_seconds` (0: as at creation) from now, within explicit_max_ttl and
  // maximum, or by the period. Errors: kInvalidArgument "lease is not renewable", "batch tokens
  // cannot be renewed"; kNotFound.
  Result<PrincipalHandle> Renew(const Principal& principal, std::int64_t increment_seconds);

  // Durable first, then in memory: from the return on nobody is let in by it, on any thread, nor by
  // anything below it. One commit does it, since a token is good only while its ancestors are; the
  // entries below are deleted after it. Success when it is gone already.
  // Errors: kInvalidArgument "batch tokens cannot be revoked"; store errors, it stays good then.
  Status Revoke(const Principal& principal);
  // Its children become orphans.
  Status RevokeOrphan(const Principal& principal);
  // Errors: kNotFound "invalid accessor".
  Status RevokeAccessor(std::string_view accessor);
  // Every token of one login source, batch tokens included (those by a not-before time of the
  // source). Returns how many stored ones died.
  Result<std::size_t> RevokeSource(const TokenSource& source);

  // In bytewise order, after `after`.
  Result<std::vector<std::string>> ListAccessors(std::string_view after, std::size_t limit);
  // Deletes what expired and what a crash left half done; returns how many entries went. Called by
  // a background thread and by auth/token/tidy. `stop` is asked between entries.
  Result<std::size_t> Tidy(const std::function<bool()>& stop);

  // The entity of an alias: a UUID made of a keyed hash, so it needs no entry.
  [[nodiscard]] std::string EntityId(std::string_view mount_accessor, std::string_view alias) const;
  [[nodiscard]] const TokenStoreOptions& options() const;

 private:
  struct Impl;
  explicit TokenStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kms
