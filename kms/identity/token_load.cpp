// SPDX-License-Identifier: Apache-2.0
// How tokens are read: a token is good while its entry and those of all of its ancestors exist,
// none has ended and no login behind them was revoked as a source.
#include <utility>
#include <vector>

#include "kms/identity/batch_token.h"
#include "kms/identity/token_store_impl.h"

namespace kms {

namespace {

// What templates of policies are filled with. The entity is known by its one alias; what a child
// token says of itself is not among it.
TemplateValues ValuesOf(const StoredToken& token) {
  const Principal& principal = token.principal;
  TemplateValues values;
  if (principal.entity_id.empty()) {
    return values;
  }
  constexpr std::size_t kShortId = 8;
  values.entity_id = principal.entity_id;
  values.entity_name = "entity_" + principal.entity_id.substr(0, kShortId);
  values.metadata = token.alias_metadata;
  values.aliases[principal.alias_mount] = {
      .id = principal.entity_id, .name = principal.alias_name, .metadata = token.alias_metadata};
  return values;
}

}  // namespace

Result<std::optional<TokenStore::Impl::Entry>> TokenStore::Impl::Read(const Sha256Digest& id) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(TokenPath(id)));
  if (!entry) {
    return std::optional<Entry>{};
  }
  StoredToken token = KMS_TRY(DecodeToken(entry->value.View(), id));
  return std::optional{Entry{.token = std::move(token), .revision = entry->revision}};
}

PrincipalHandle TokenStore::Impl::MakePrincipal(const StoredToken& token) const {
  auto principal = std::make_shared<Principal>(token.principal);
  if (!principal->is_root) {
    principal->acl = policies.AclFor(principal->policies, ValuesOf(token));
  }
  return principal;
}

Result<std::optional<TokenStore::Impl::Good>> TokenStore::Impl::FindGood(const Sha256Digest& id,
                                                                         Keep keep) {
  struct Level {
    Sha256Digest id;
    std::uint64_t epoch = 0;
    Entry entry;
  };
  const std::int64_t now = NowSeconds();
  std::vector<Level> levels;  // the token, its parent, …
  TokenLinkHandle link;       // the first ancestor that is warm
  for (TokenReference next{.id = id}; link == nullptr;) {
    const std::uint64_t epoch = cache.Epoch(next.id);
    std::optional<Entry> entry = KMS_TRY(Read(next.id));
    if (!entry || IsExpired(entry->token.principal, now) || sources->Contains(entry->token) ||
        (!levels.empty() && entry->token.issued_stamp != next.issued_stamp)) {
      return std::optional<Good>{};
    }
    const std::optional<TokenReference> parent = entry->token.parent;
    levels.push_back({.id = next.id, .epoch = epoch, .entry = *std::move(entry)});
    if (!parent) {
      break;
    }
    if (levels.size() > kMaxGenerations + std::size_t{1}) {
      return Corrupted("damaged entry", "a token has too many ancestors");
    }
    next = *parent;
    link = IsConfiguredRoot(next.id) ? root_link : cache.FindLink(next.id, now);
    if (link != nullptr && (!link->Good(now) || link->issued_stamp != next.issued_stamp)) {
      return std::optional<Good>{};
    }
  }
  const std::uint64_t generation = policies.generation();
  Good good;
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    good.principal = MakePrincipal(level->entry.token);
    // Limited tokens are asked for in the store each time.
    const bool kept = keep == Keep::kYes && good.principal->num_uses == 0;
    link = kept ? cache.Publish(level->id,
                                {.epoch = level->epoch,
                                 .issued_stamp = level->entry.token.issued_stamp,
                                 .policy_generation = generation,
                                 .principal = good.principal},
                                link, now)
                : nullptr;
    keep = link == nullptr ? Keep::kNo : keep;
  }
  good.token = std::move(levels.front().entry.token);
  good.revision = levels.front().entry.revision;
  good.link = std::move(link);
  return std::optional{std::move(good)};
}

Result<std::optional<TokenStore::Impl::Good>> TokenStore::Impl::FindGoodBatch(
    std::string_view token, const Sha256Digest& hash) {
  const std::uint64_t epoch = cache.Epoch(hash);
  std::optional<StoredToken> opened = KMS_TRY(OpenBatchToken(key, token));
  const std::int64_t now = NowSeconds();
  if (!opened || IsExpired(opened->principal, now) || sources->Contains(*opened)) {
    return std::optional<Good>{};
  }
  bool keep = true;
  TokenLinkHandle link;
  if (opened->parent) {
    const TokenReference& parent = *opened->parent;
    link = IsConfiguredRoot(parent.id) ? root_link : cache.FindLink(parent.id, now);
    if (link == nullptr) {
      const std::optional<Good> found = KMS_TRY(FindGood(parent.id));
      if (!found || found->token.issued_stamp != parent.issued_stamp) {
        return std::optional<Good>{};
      }
      link = found->link;
      keep = link != nullptr;
    } else if (!link->Good(now) || link->issued_stamp != parent.issued_stamp) {
      return std::optional<Good>{};
    }
  }
  const std::uint64_t generation = policies.generation();
  Good good{.token = *std::move(opened)};
  good.principal = MakePrincipal(good.token);
  if (keep) {
    good.link = cache.Publish(hash,
                              {.epoch = epoch,
                               .issued_stamp = good.token.issued_stamp,
                               .policy_generation = generation,
                               .principal = good.principal},
                              std::move(link), now);
  }
  return std::optional{std::move(good)};
}

Result<std::optional<TokenStore::Impl::Good>> TokenStore::Impl::FindByToken(
    std::string_view token) {
  if (token.empty() || token.size() > kMaxTokenBytes) {
    return std::optional<Good>{};
  }
  const Sha256Digest hash = key.HashOf(token);
  if (IsConfiguredRoot(hash)) {
    return root_link->stale ? std::optional<Good>{}
                            : std::optional{Good{.principal = root, .link = root_link}};
  }
  return token.starts_with(kBatchTokenPrefix) ? FindGoodBatch(token, hash) : FindGood(hash);
}

Result<bool> TokenStore::Impl::IsGood(const TokenReference& token) {
  if (IsConfiguredRoot(token.id)) {
    return !root_link->stale;
  }
  const std::optional<Good> found = KMS_TRY(FindGood(token.id));
  return found && found->token.issued_stamp == token.issued_stamp;
}

Result<std::optional<Sha256Digest>> TokenStore::Impl::IdOfAccessor(std::string_view accessor) {
  constexpr std::size_t kMaxAccessorBytes = 64;
  const bool plain = !accessor.empty() && accessor.size() <= kMaxAccessorBytes &&
                     accessor.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!plain) {
    return std::optional<Sha256Digest>{};
  }
  if (accessor == root->accessor) {
    return std::optional{root_hash};
  }
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(AccessorPath(accessor)));
  if (!entry) {
    return std::optional<Sha256Digest>{};
  }
  return std::optional{KMS_TRY(DecodeAccessor(entry->value.View()))};
}

}  // namespace kms
