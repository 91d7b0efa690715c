// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/raise_usage.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kms/operations/key_storage.h"
#include "kms/operations/key_usage.h"

namespace kms {

namespace {

constexpr std::size_t kPage = 200;
constexpr int kAttempts = 8;

// a * b, or `most` when that is less.
std::uint64_t ProductUpTo(std::uint64_t most, std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > most / a ? most : a * b;
}

// The record of one key with everything raised; nullopt for a key that does not encrypt, or is
// damaged and cannot.
Result<std::optional<SealedMutation>> RaisedRecord(Environment& environment,
                                                   const std::string& path, std::uint64_t lost) {
  using Raised = std::optional<SealedMutation>;
  const auto stored = ReadKey(environment, std::string_view(path).substr(kKeysPrefix.size()));
  if (!stored.has_value()) {
    return stored.error().code == ErrorCode::kCorrupted ? Result<Raised>(Raised()) : stored.error();
  }
  if (!*stored || !TraitsOf((*stored)->key.policy().type).supports_encryption) {
    return Raised();
  }
  const KeyPolicy& policy = (*stored)->key.policy();
  const std::string usage_path = UsagePath(policy.incarnation);
  const std::optional<OpenedEntry> entry = KMS_TRY(environment.store().Get(usage_path));
  std::map<KeyVersionNumber, std::uint64_t> recorded;
  if (entry) {
    recorded = KMS_TRY(DecodeUsage(entry->value.View()));
  }
  const std::uint64_t limit = environment.max_encryptions_per_version();
  const std::uint64_t more = ProductUpTo(limit, lost, LargestLease(limit));
  for (KeyVersionNumber version = std::max<KeyVersionNumber>(policy.min_available_version, 1);
       version <= policy.latest_version; ++version) {
    std::uint64_t& uses = recorded[version];
    uses = std::max(uses, std::min(limit, uses + more));
  }
  return Raised(SealedMutation{.path = usage_path,
                               .value = KMS_TRY(EncodeUsage(recorded)),
                               .expected_revision = entry ? entry->revision : 0});
}

// All of a page or none of it: a page that is tried again is not raised twice.
Status RaisePage(Environment& environment, const std::vector<ListedEntry>& page,
                 std::uint64_t lost) {
  for (int attempt = 1;; ++attempt) {
    std::vector<SealedMutation> mutations;
    for (const ListedEntry& entry : page) {
      std::optional<SealedMutation> raised = KMS_TRY(RaisedRecord(environment, entry.path, lost));
      if (raised) {
        mutations.push_back(*std::move(raised));
      }
    }
    if (mutations.empty()) {
      return Ok();
    }
    const Result<Revision> committed = environment.store().Commit(std::move(mutations));
    if (committed.has_value()) {
      return Ok();
    }
    const ErrorCode code = committed.error().code;
    // After an unknown outcome it may be raised twice: too much is safe.
    const bool again = code == ErrorCode::kConflict || code == ErrorCode::kOutcomeUnknown;
    if (!again || attempt == kAttempts) {
      return committed.error();
    }
  }
}

}  // namespace

Status RaiseUsage(Environment& environment, std::uint64_t lost_commits) {
  std::string after;
  while (true) {
    const std::vector<ListedEntry> page =
        KMS_TRY(environment.store().List(kKeysPrefix, after, kPage));
    KMS_TRY(RaisePage(environment, page, lost_commits));
    if (page.size() < kPage) {
      return Ok();
    }
    after = page.back().path;
  }
}

}  // namespace kms
