// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/entry_commit.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "kms/base/digest.h"

namespace kms {
namespace {

constexpr std::size_t kPage = 256;

// What an entry is to be; a digest, for the value itself goes to the store.
struct Wanted {
  std::string path;
  std::optional<Sha256Digest> digest;  // nullopt: absent
};

std::vector<Wanted> WantedOf(const std::vector<SealedMutation>& mutations) {
  std::vector<Wanted> wanted;
  for (const SealedMutation& mutation : mutations) {
    wanted.push_back({.path = mutation.path, .digest = std::nullopt});
    if (mutation.value) {
      wanted.back().digest = Sha256(mutation.value->View());
    }
  }
  return wanted;
}

Result<bool> IsAsWanted(SealedStore& sys, const Wanted& wanted) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(wanted.path));
  if (!entry || !wanted.digest) {
    return entry.has_value() == wanted.digest.has_value();
  }
  return Sha256(entry->value.View()) == *wanted.digest;
}

}  // namespace

Status CommitEntries(SealedStore& sys, std::vector<SealedMutation> mutations) {
  const std::vector<Wanted> wanted = WantedOf(mutations);
  const Result<Revision> committed = sys.Commit(std::move(mutations));
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  for (const Wanted& entry : wanted) {
    const bool as_wanted = KMS_TRY(IsAsWanted(sys, entry));
    if (!as_wanted) {
      return Unavailable("storage failed, nothing was changed", committed.error().detail);
    }
  }
  return Ok();
}

Status CommitOnce(SealedStore& sys, std::vector<SealedMutation> mutations) {
  const Result<Revision> committed = sys.Commit(std::move(mutations));
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  return Unavailable("storage failed; the use may have been taken", committed.error().detail);
}

Status DeleteEntriesBelow(SealedStore& sys, const std::string& prefix) {
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(sys.List(prefix, {}, kPage));
    if (page.empty()) {
      return Ok();
    }
    std::vector<SealedMutation> mutations;
    for (const ListedEntry& entry : page) {
      mutations.push_back(
          {.path = entry.path, .value = std::nullopt, .expected_revision = std::nullopt});
    }
    KMS_TRY(CommitEntries(sys, std::move(mutations)));
  }
}

Result<std::vector<std::string>> ListNamesBelow(SealedStore& sys, const std::string& prefix,
                                                std::string_view after, std::size_t limit) {
  std::vector<std::string> names;
  std::string last = after.empty() ? std::string() : prefix + std::string(after);
  while (limit == 0 || names.size() < limit) {
    const std::size_t wanted = limit == 0 ? kPage : std::min(kPage, limit - names.size());
    const std::vector<ListedEntry> page = KMS_TRY(sys.List(prefix, last, wanted));
    for (const ListedEntry& entry : page) {
      names.push_back(entry.path.substr(prefix.size()));
      last = entry.path;
    }
    if (page.size() < wanted) {
      break;
    }
  }
  return names;
}

Result<SecretBytes> WithSecretsBehind(const Bytes& record,
                                      std::initializer_list<ByteView> secrets) {
  std::size_t size = record.size();
  for (const ByteView secret : secrets) {
    size += secret.size();
  }
  SecretBytes whole = KMS_TRY(SecretBytes::OfSize(size));
  auto out = std::ranges::copy(record, whole.MutableView().begin()).out;
  for (const ByteView secret : secrets) {
    out = std::ranges::copy(secret, out).out;
  }
  return whole;
}

}  // namespace kms
