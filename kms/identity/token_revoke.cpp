// SPDX-License-Identifier: Apache-2.0
// How tokens end. The first commit is the one that counts (see token_store.cpp); what follows it
// only takes entries away that nobody is let in by.
#include <algorithm>
#include <utility>

#include "kms/identity/token_store_impl.h"

namespace kms {

namespace {

constexpr std::size_t kPage = 128;  // tokens of one commit or listing
constexpr int kAttempts = 8;

void AppendDeletion(const StoredToken& token, std::optional<Revision> expected,
                    std::vector<SealedMutation>& mutations) {
  const Principal& principal = token.principal;
  mutations.push_back({.path = TokenPath(principal.id), .expected_revision = expected});
  mutations.push_back({.path = AccessorPath(principal.accessor)});
  if (token.parent) {
    mutations.push_back({.path = ChildPath(token.parent->id, principal.id)});
  }
}

bool Matches(const TokenSource& source, const Principal& principal) {
  return principal.alias_mount == source.mount_accessor &&
         (!source.role || principal.role == *source.role) &&
         (!source.alias_name || principal.alias_name == *source.alias_name);
}

constexpr std::string_view kTidiedLater =
    "the tokens are dead with their ancestor; Tidy takes their entries away";

}  // namespace

Status TokenStore::Impl::Delete(const StoredToken& token, std::optional<Revision> expected) {
  std::vector<SealedMutation> mutations;
  AppendDeletion(token, expected, mutations);
  const Result<Revision> committed = sys.Commit(std::move(mutations));
  if (committed.has_value()) {
    cache.Drop(token.principal.id);
    return Ok();
  }
  if (committed.error().code == ErrorCode::kOutcomeUnknown) {
    cache.Drop(token.principal.id);  // whoever comes reads what really is there
  }
  return committed.error();
}

Result<std::size_t> TokenStore::Impl::RevokeTree(const Sha256Digest& id) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::optional<Entry> entry = KMS_TRY(Read(id));
    if (!entry) {
      cache.Drop(id);
      return std::size_t{0};
    }
    const Status deleted = Delete(entry->token);
    if (!deleted.has_value() && deleted.error().code == ErrorCode::kOutcomeUnknown) {
      continue;
    }
    KMS_TRY(deleted);
    const Result<std::size_t> below = DeleteDescendants(id);
    IgnoreError(below, kTidiedLater);
    return 1 + below.value_or(0);
  }
  return Unavailable("the token could not be revoked, try again");
}

Result<std::size_t> TokenStore::Impl::DeleteDescendants(const Sha256Digest& id) {
  std::vector<Sha256Digest> parents{id};
  std::size_t deleted = 0;
  while (!parents.empty()) {
    const Sha256Digest parent = parents.back();
    const std::vector<ListedEntry> links = KMS_TRY(sys.List(ChildrenOf(parent), {}, kPage));
    if (links.empty()) {
      parents.pop_back();
      continue;
    }
    std::vector<SealedMutation> mutations;
    for (const ListedEntry& link : links) {
      const std::optional<Sha256Digest> child = IdOfPath(link.path);
      std::optional<Entry> entry;
      if (child) {
        entry = KMS_TRY(Read(*child));
      }
      if (entry && entry->token.parent && entry->token.parent->id == parent) {
        AppendDeletion(entry->token, std::nullopt, mutations);
        parents.push_back(*child);
        ++deleted;
      } else {
        mutations.push_back({.path = link.path});
      }
    }
    const Result<Revision> committed = sys.Commit(std::move(mutations));
    for (const ListedEntry& link : links) {
      if (const std::optional<Sha256Digest> child = IdOfPath(link.path)) {
        cache.Drop(*child);
      }
    }
    KMS_TRY(committed);
  }
  return deleted;
}

Status TokenStore::Impl::RevokeRoot() {
  KMS_TRY(RecordRootRevocation(sys, root_digest));
  root_link->stale = true;
  IgnoreError(DeleteDescendants(root_hash), kTidiedLater);
  return Ok();
}

// Page by page, so that a tree of any width fits; each child leaves with the commit that also takes
// its link away.
Status TokenStore::Impl::MakeOrphans(const Sha256Digest& parent) {
  for (int failures = 0; failures < kAttempts;) {
    const std::vector<ListedEntry> links = KMS_TRY(sys.List(ChildrenOf(parent), {}, kPage));
    if (links.empty()) {
      return Ok();
    }
    std::vector<SealedMutation> mutations;
    for (const ListedEntry& link : links) {
      mutations.push_back({.path = link.path});
      const std::optional<Sha256Digest> child = IdOfPath(link.path);
      std::optional<Entry> entry;
      if (child) {
        entry = KMS_TRY(Read(*child));
      }
      if (entry && entry->token.parent && entry->token.parent->id == parent) {
        entry->token.parent.reset();
        entry->token.principal.orphan = true;
        mutations.push_back({.path = TokenPath(*child),
                             .value = KMS_TRY(EncodeToken(entry->token)),
                             .expected_revision = entry->revision});
      }
    }
    const Result<Revision> committed = sys.Commit(std::move(mutations));
    for (const ListedEntry& link : links) {
      if (const std::optional<Sha256Digest> child = IdOfPath(link.path)) {
        cache.Drop(*child);
      }
    }
    if (committed.has_value()) {
      continue;
    }
    if (committed.error().code != ErrorCode::kConflict &&
        committed.error().code != ErrorCode::kOutcomeUnknown) {
      return committed.error();
    }
    ++failures;
  }
  return Unavailable("the token could not be revoked, try again");
}

Status TokenStore::Revoke(const Principal& principal) {
  if (principal.type == TokenType::kBatch) {
    return InvalidArgument("batch tokens cannot be revoked");
  }
  if (impl_->IsConfiguredRoot(principal.id)) {
    return impl_->RevokeRoot();
  }
  const std::optional<Impl::Entry> entry = KMS_TRY(impl_->Read(principal.id));
  if (entry && entry->token.principal.accessor != principal.accessor) {
    return Ok();  // its id was given to another token since
  }
  KMS_TRY(impl_->RevokeTree(principal.id));
  return Ok();
}

Status TokenStore::RevokeOrphan(const Principal& principal) {
  if (principal.type == TokenType::kBatch) {
    return InvalidArgument("batch tokens cannot be revoked");
  }
  KMS_TRY(impl_->MakeOrphans(principal.id));
  return Revoke(principal);
}

Status TokenStore::RevokeAccessor(std::string_view accessor) {
  const std::optional<Sha256Digest> id = KMS_TRY(impl_->IdOfAccessor(accessor));
  if (!id) {
    return NotFound("invalid accessor");
  }
  if (impl_->IsConfiguredRoot(*id)) {
    return impl_->RevokeRoot();
  }
  KMS_TRY(impl_->RevokeTree(*id));
  return Ok();
}

Result<std::size_t> TokenStore::RevokeSource(const TokenSource& source) {
  KMS_TRY(impl_->sources->Revoke(source, impl_->NowNanoseconds()));
  impl_->cache.DropAll();
  std::size_t died = 0;
  std::string after;
  for (bool more = true; more;) {
    const std::vector<ListedEntry> page = KMS_TRY(impl_->sys.List(kTokensPrefix, after, kPage));
    more = page.size() == kPage;
    for (const ListedEntry& listed : page) {
      after = listed.path;
      const std::optional<Sha256Digest> id = IdOfPath(listed.path);
      std::optional<Impl::Entry> entry;
      if (id) {
        entry = KMS_TRY(impl_->Read(*id));
      }
      // One that was made meanwhile stays.
      if (entry && Matches(source, entry->token.principal) &&
          impl_->sources->Contains(entry->token)) {
        died += KMS_TRY(impl_->RevokeTree(*id));
      }
    }
  }
  return died;
}

Result<std::size_t> TokenStore::Impl::TidyTokens(const std::function<bool()>& stop) {
  std::size_t gone = 0;
  std::string after;
  for (bool more = true; more;) {
    const std::vector<ListedEntry> page = KMS_TRY(sys.List(kTokensPrefix, after, kPage));
    more = page.size() == kPage;
    for (const ListedEntry& listed : page) {
      after = listed.path;
      const std::optional<Sha256Digest> id = IdOfPath(listed.path);
      if (!id || stop()) {
        continue;
      }
      const std::optional<Good> good = KMS_TRY(FindGood(*id, Keep::kNo));
      if (!good) {
        gone += KMS_TRY(RevokeTree(*id));
      }
    }
  }
  return gone;
}

// Links whose child is gone or hangs elsewhere.
Result<std::size_t> TokenStore::Impl::TidyLinks(const std::function<bool()>& stop) {
  std::size_t gone = 0;
  std::string after;
  for (bool more = true; more;) {
    const std::vector<ListedEntry> page = KMS_TRY(sys.List(kChildrenPrefix, after, kPage));
    more = page.size() == kPage;
    for (const ListedEntry& listed : page) {
      after = listed.path;
      const std::optional<Sha256Digest> child = IdOfPath(listed.path);
      if (!child || stop()) {
        continue;
      }
      const std::optional<Entry> entry = KMS_TRY(Read(*child));
      if (entry && entry->token.parent &&
          ChildPath(entry->token.parent->id, *child) == listed.path) {
        continue;
      }
      std::vector<SealedMutation> mutations;
      mutations.push_back({.path = listed.path, .expected_revision = listed.revision});
      KMS_TRY(sys.Commit(std::move(mutations)));
      ++gone;
    }
  }
  return gone;
}

Result<std::size_t> TokenStore::Tidy(const std::function<bool()>& stop) {
  const std::size_t tokens = KMS_TRY(impl_->TidyTokens(stop));
  const std::size_t links = KMS_TRY(impl_->TidyLinks(stop));
  return tokens + links;
}

}  // namespace kms
