// SPDX-License-Identifier: Apache-2.0
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kms/base/base64url.h"
#include "kms/base/random.h"
#include "kms/identity/batch_token.h"
#include "kms/identity/token_lifetime.h"
#include "kms/identity/token_store_impl.h"

namespace kms {

namespace {

constexpr std::string_view kServiceTokenPrefix = "hvs.";
constexpr std::size_t kTokenRandomBytes = 32;
constexpr std::size_t kAccessorRandomBytes = 12;
constexpr std::size_t kMaxCustomIdBytes = 256;

bool IsRootGrant(const TokenGrant& grant) {
  return std::ranges::find(grant.policies, "root") != grant.policies.end();
}

Status CheckCustomId(std::string_view id) {
  if (id.starts_with(kServiceTokenPrefix) || id.starts_with(kBatchTokenPrefix)) {
    return InvalidArgument("custom token ID cannot have the 'hvs.' or 'hvb.' prefix");
  }
  const bool visible = std::ranges::all_of(id, [](char c) { return c > ' ' && c < '\x7f'; });
  if (!visible || id.size() > kMaxCustomIdBytes) {
    return InvalidArgument("custom token ID must have 1 to 256 visible ASCII characters");
  }
  return Ok();
}

Status CheckBatchGrant(const TokenGrant& grant) {
  if (IsRootGrant(grant)) {
    return InvalidArgument("batch tokens cannot be root tokens");
  }
  if (grant.period_seconds != 0) {
    return InvalidArgument("batch tokens cannot be periodic");
  }
  if (grant.num_uses != 0) {
    return InvalidArgument("batch tokens cannot have a limited use count");
  }
  if (!grant.custom_id.empty()) {
    return InvalidArgument("batch tokens cannot have custom IDs");
  }
  return Ok();
}

Status CheckParent(const TokenGrant& grant) {
  if (grant.parent == nullptr) {
    return Ok();
  }
  if (grant.parent->type == TokenType::kBatch) {
    return InvalidArgument("batch tokens cannot create more tokens");
  }
  if (grant.parent->num_uses != 0) {
    return InvalidArgument("restricted use token cannot generate child tokens");
  }
  if (IsRootGrant(grant) && !grant.parent->is_root) {
    return InvalidArgument("root tokens may not be created without parent token being root");
  }
  return Ok();
}

Status CheckGrant(const TokenGrant& grant) {
  for (const std::int64_t number :
       {grant.ttl_seconds, grant.max_ttl_seconds, grant.explicit_max_ttl_seconds,
        grant.period_seconds, grant.num_uses}) {
    if (number < 0) {
      return InvalidArgument("TTLs and numbers of uses must not be negative");
    }
  }
  if (grant.never_expires && !IsRootGrant(grant)) {
    return InvalidArgument("only root tokens may live for ever");
  }
  KMS_TRY(CheckParent(grant));
  if (!grant.custom_id.empty()) {
    KMS_TRY(CheckCustomId(grant.custom_id));
  }
  return grant.type == TokenType::kBatch ? CheckBatchGrant(grant) : Ok();
}

std::string RandomAccessor() {
  std::array<std::uint8_t, kAccessorRandomBytes> random{};
  FillRandom(random);
  return HexEncode(random);
}

Result<SecretBytes> FreshServiceToken() {
  SecretBytes random = KMS_TRY(SecretBytes::OfSize(kTokenRandomBytes));
  FillRandom(random.MutableView());
  std::string text(kServiceTokenPrefix);
  AppendBase64Url(random.View(), text);
  Result<SecretBytes> token = SecretBytes::CopyOf(AsBytes(text));
  OPENSSL_cleanse(text.data(), text.size());
  return token;
}

// The times of a new token, from the grant and the server's limits.
void SetLifetime(const TokenGrant& grant, const TokenStoreOptions& options, std::int64_t now,
                 StoredToken& token) {
  Principal& principal = token.principal;
  principal.created_unix_seconds = now;
  principal.explicit_max_ttl_seconds = grant.explicit_max_ttl_seconds;
  principal.period_seconds = grant.period_seconds;
  if (grant.never_expires) {
    return;
  }
  token.max_ttl_seconds = grant.max_ttl_seconds == 0
                              ? options.max_ttl_seconds
                              : std::min(grant.max_ttl_seconds, options.max_ttl_seconds);
  principal.creation_ttl_seconds = FirstTtl(
      {.ttl_seconds = grant.ttl_seconds == 0 ? options.default_ttl_seconds : grant.ttl_seconds,
       .max_ttl_seconds = token.max_ttl_seconds,
       .explicit_max_ttl_seconds = grant.explicit_max_ttl_seconds,
       .period_seconds = grant.period_seconds});
  principal.expires_unix_seconds = now + principal.creation_ttl_seconds;
  principal.renewable = grant.renewable && grant.type == TokenType::kService;
}

Principal PrincipalOf(const TokenGrant& grant) {
  Principal principal;
  principal.display_name = grant.display_name;
  principal.policies = grant.policies;
  principal.path = grant.path;
  principal.role = grant.role;
  principal.metadata = grant.metadata;
  principal.type = grant.type;
  principal.entity_id = grant.entity_id;
  principal.alias_mount = grant.alias_mount;
  principal.alias_name = grant.alias_name;
  principal.num_uses = grant.num_uses;
  principal.orphan = grant.parent == nullptr;
  principal.is_root = IsRootGrant(grant);
  principal.bound_cidrs = grant.bound_cidrs;
  principal.bound_certificate = grant.bound_certificate;
  principal.accessor = grant.type == TokenType::kBatch ? "" : RandomAccessor();
  return principal;
}

// Whose deed it is: what the caller says; the parent's, unless root itself made it; the one who
// logged in; the token on its own.
std::string ActorOf(const TokenGrant& grant, bool made_by_configured_root,
                    const Principal& principal) {
  if (!grant.actor.empty()) {
    return grant.actor;
  }
  if (grant.parent != nullptr && !made_by_configured_root) {
    return grant.parent->actor;
  }
  return grant.entity_id.empty() ? principal.accessor : grant.entity_id;
}

}  // namespace

Status TokenStore::Impl::Rewrite(const StoredToken& token, Revision expected) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = TokenPath(token.principal.id),
                       .value = KMS_TRY(EncodeToken(token)),
                       .expected_revision = expected});
  KMS_TRY(sys.Commit(std::move(mutations)));
  return Ok();
}

Status TokenStore::Impl::Insert(const StoredToken& token) {
  const Principal& principal = token.principal;
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = TokenPath(principal.id),
                       .value = KMS_TRY(EncodeToken(token)),
                       .expected_revision = Revision{0}});
  mutations.push_back({.path = AccessorPath(principal.accessor),
                       .value = KMS_TRY(EncodeAccessor(principal.id)),
                       .expected_revision = Revision{0}});
  if (token.parent) {
    mutations.push_back({.path = ChildPath(token.parent->id, principal.id),
                         .value = KMS_TRY(EncodeChildLink()),
                         .expected_revision = std::nullopt});
  }
  const Result<Revision> committed = sys.Commit(std::move(mutations));
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const std::optional<Entry> now = KMS_TRY(Read(principal.id));
  if (now && now->token.issued_stamp == token.issued_stamp) {
    return Ok();
  }
  return Unavailable("storage failed, nothing was changed", committed.error().detail);
}

Status TokenStore::Impl::InsertCustom(const StoredToken& token) {
  const Status inserted = Insert(token);
  if (inserted.has_value() || inserted.error().code != ErrorCode::kConflict) {
    return inserted;
  }
  // What is there may be dead and only not tidied up yet.
  const std::optional<Good> good = KMS_TRY(FindGood(token.principal.id, Keep::kNo));
  if (!good) {
    KMS_TRY(RevokeTree(token.principal.id));
    const Status again = Insert(token);
    if (again.has_value() || again.error().code != ErrorCode::kConflict) {
      return again;
    }
  }
  return InvalidArgument("cannot create a token with a duplicate ID");
}

Result<IssuedToken> TokenStore::Impl::IssueBatch(const StoredToken& token) {
  SecretBytes text = KMS_TRY(SealBatchToken(key, token));
  if (text.size() > kMaxTokenBytes) {
    return InvalidArgument("the batch token would be too large: give it less metadata");
  }
  return IssuedToken{.token = std::move(text), .principal = MakePrincipal(token)};
}

Result<IssuedToken> TokenStore::Impl::IssueService(const TokenGrant& grant, StoredToken token) {
  SecretBytes text = grant.custom_id.empty()
                         ? KMS_TRY(FreshServiceToken())
                         : KMS_TRY(SecretBytes::CopyOf(AsBytes(grant.custom_id)));
  token.principal.id = key.HashOf(AsText(text.View()));
  if (IsConfiguredRoot(token.principal.id)) {
    return InvalidArgument("cannot create a token with a duplicate ID");
  }
  if (grant.custom_id.empty()) {
    KMS_TRY(Insert(token));
  } else {
    KMS_TRY(InsertCustom(token));
  }
  return IssuedToken{.token = std::move(text), .principal = MakePrincipal(token)};
}

Status TokenStore::Impl::SetParent(const TokenGrant& grant, StoredToken& token) {
  if (grant.parent == nullptr) {
    token.alias_metadata =
        grant.alias_mount.empty() ? decltype(token.alias_metadata){} : grant.metadata;
    return Ok();
  }
  if (IsConfiguredRoot(grant.parent->id)) {
    token.parent = TokenReference{.id = root_hash, .issued_stamp = 0};
    token.generation = 1;
    return root_link->stale ? Status(TokenDenied()) : Ok();
  }
  std::optional<Good> parent = KMS_TRY(FindGood(grant.parent->id));
  if (!parent || parent->principal->accessor != grant.parent->accessor) {
    return TokenDenied();
  }
  if (parent->token.generation >= kMaxGenerations) {
    return InvalidArgument("the token has too many ancestors to create another");
  }
  token.parent = TokenReference{.id = grant.parent->id, .issued_stamp = parent->token.issued_stamp};
  token.generation = static_cast<std::uint16_t>(parent->token.generation + 1);
  if (grant.entity_id == parent->principal->entity_id) {
    token.alias_metadata = std::move(parent->token.alias_metadata);
  }
  return Ok();
}

Result<IssuedToken> TokenStore::Issue(const TokenGrant& grant) {
  KMS_TRY(CheckGrant(grant));
  StoredToken token;
  token.principal = PrincipalOf(grant);
  KMS_TRY(impl_->SetParent(grant, token));
  const bool by_configured_root =
      grant.parent != nullptr && impl_->IsConfiguredRoot(grant.parent->id);
  token.principal.actor = ActorOf(grant, by_configured_root, token.principal);
  token.uses_left = grant.num_uses;
  token.issued_stamp = KMS_TRY(impl_->sources->NextStamp(impl_->NowNanoseconds()));
  SetLifetime(grant, impl_->options, impl_->NowSeconds(), token);
  return grant.type == TokenType::kBatch ? impl_->IssueBatch(token)
                                         : impl_->IssueService(grant, std::move(token));
}

}  // namespace kms
