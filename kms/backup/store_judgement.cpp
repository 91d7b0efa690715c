// SPDX-License-Identifier: Apache-2.0
#include "kms/backup/store_judgement.h"

#include <algorithm>
#include <utility>

#include "kms/backup/digest_key.h"

namespace kms {

namespace {

constexpr std::string_view kAdvice =
    " Bring back the newer store, or start with --accept-rollback to go on with this one: every "
    "token but the root token is revoked then, and usage counters are raised";

Error StoreIsOlder(const StoreJudgement& judgement) {
  const std::string revision = std::to_string(judgement.revision);
  if (judgement.older_than_log()) {
    return Corrupted("the store is older than the audit log: it is at revision " + revision +
                     ", the log has seen " + std::to_string(judgement.seen_by_log) +
                     "; tokens that were revoked since would be good again." +
                     std::string(kAdvice));
  }
  const auto newest = std::ranges::max_element(judgement.epochs.tokens, {}, &TokenEpoch::value);
  return Corrupted("the store is older than the epoch that HSM " + newest->hsm +
                   " keeps: it is at revision " + revision + ", the epoch is " +
                   std::to_string(newest->value) +
                   "; tokens that were revoked since would be good again." + std::string(kAdvice));
}

Error EntriesDiffer(const StoreJudgement& judgement) {
  std::string what;
  for (const DirectoryDifference& difference : judgement.digest.differences) {
    what += (what.empty() ? "" : "; ") + DescribeDifference(difference, judgement.sys->id());
  }
  if (what.empty()) {
    what = judgement.digest.present ? "the digest itself was changed" : "the digest is gone";
  }
  return Corrupted(
      "entries of the store were changed past the service (" + what +
      "). Restore a backup, or start with --accept-rollback to go on with what is there: every "
      "token but the root token is revoked then, and usage counters are raised");
}

std::string ServedBy(const std::vector<TokenEpoch>& tokens) {
  std::string names;
  for (const TokenEpoch& token : tokens) {
    names += (names.empty() ? "" : ", ") + token.hsm + " (epoch " + std::to_string(token.value) +
             ", but " + std::to_string(token.recorded) + " was written to it)";
  }
  return names;
}

Error TokensAreOlder(const std::vector<TokenEpoch>& tokens) {
  return Corrupted("no HSM token is as new as the store: " + ServedBy(tokens) +
                   ". It was set back, or restored from a backup of its own. Connect the "
                   "right token, or start with --accept-rollback to go on with this one");
}

}  // namespace

std::string DescribeDifference(const DirectoryDifference& difference, const Uuid& sys_id) {
  const std::string& directory = difference.directory;
  const std::string id = directory.substr(2, 36);
  const std::string environment = id == sys_id.ToString() ? "sys" : "environment " + id;
  std::string text =
      directory.substr(std::min<std::size_t>(directory.size(), 39)) + " of " + environment + ": ";
  if (difference.found == difference.expected) {
    return text + "one of " + std::to_string(difference.expected) + " entries was changed";
  }
  return text + std::to_string(difference.found) + " entries instead of " +
         std::to_string(difference.expected);
}

bool StoreJudgement::entries_differ() const {
  if (sys == nullptr) {
    return false;
  }
  if (digest_key && digest.present) {
    return !digest.good();
  }
  // Neither is there before the first start of a release that keeps them, which raises the tokens
  // only afterwards.
  return epochs.highest() != 0;
}

std::vector<TokenEpoch> StoreJudgement::older_tokens() const {
  std::vector<TokenEpoch> older;
  std::ranges::copy_if(epochs.tokens, std::back_inserter(older), &TokenEpoch::older);
  return older;
}

std::uint64_t StoreJudgement::lost_commits() const {
  const std::uint64_t newest = std::max(seen_by_log, epochs.highest());
  return newest - std::min<std::uint64_t>(newest, revision);
}

Status StoreJudgement::Verdict() const {
  if (older_than_log() || older_than_token()) {
    return StoreIsOlder(*this);
  }
  if (entries_differ()) {
    return EntriesDiffer(*this);
  }
  const std::vector<TokenEpoch> older = older_tokens();
  return !older.empty() && older.size() == epochs.tokens.size() ? Status(TokensAreOlder(older))
                                                                : Ok();
}

Result<StoreJudgement> JudgeStore(SqliteStore& store, HsmRegistry& hsms, std::uint64_t seen_by_log,
                                  std::chrono::milliseconds timeout) {
  StoreJudgement judgement;
  judgement.seen_by_log = seen_by_log;
  judgement.revision = KMS_TRY(store.CurrentRevision());
  judgement.sys = KMS_TRY(SysStore::Open(store, hsms, timeout));
  if (judgement.sys == nullptr) {
    return judgement;
  }
  // Opening it may have moved records of earlier releases.
  judgement.revision = KMS_TRY(store.CurrentRevision());
  SealedStore& sys = judgement.sys->entries();
  judgement.epochs = KMS_TRY(ReadEpochs(sys, judgement.sys->id(), hsms, timeout));
  judgement.digest_key = KMS_TRY(ReadDigestKey(sys));
  if (judgement.digest_key) {
    judgement.digest = KMS_TRY(store.CheckDigest(*judgement.digest_key));
  }
  if (judgement.digest.good()) {
    // What counts is how old the entries are, whatever number stands beside them.
    judgement.revision = std::min(judgement.revision, judgement.digest.revision);
  }
  return judgement;
}

}  // namespace kms
