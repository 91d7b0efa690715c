// SPDX-License-Identifier: Apache-2.0
// AcceptedRollback, format 1 (numbers big-endian):
//
//   'A' | 1 | lost commits(8) | settled flag | number of environments(4) | per environment: id(16)
#include "kms/backup/store_guard.h"

#include <algorithm>
#include <utility>

#include "kms/backup/digest_key.h"
#include "kms/base/random.h"
#include "kms/base/record_codec.h"
#include "kms/operations/raise_usage.h"

namespace kms {

namespace {

constexpr char kKind = 'A';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "record of an accepted rollback";
constexpr std::string_view kPath = "accepted-rollback";
// Log and tokens may be this many commits behind what was lost.
constexpr std::uint64_t kUnseenCommits = 64;

Result<std::optional<AcceptedRollback>> ReadAccepted(SealedStore& sys) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(kPath));
  if (!entry) {
    return std::optional<AcceptedRollback>();
  }
  return std::optional(KMS_TRY(AcceptedRollback::Decode(entry->value.View())));
}

Status WriteAccepted(SealedStore& sys, const std::optional<AcceptedRollback>& accepted) {
  SealedMutation mutation{
      .path = std::string(kPath), .value = std::nullopt, .expected_revision = std::nullopt};
  if (accepted) {
    mutation.value = KMS_TRY(SecretBytes::CopyOf(accepted->Encode()));
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back(std::move(mutation));
  KMS_TRY(sys.Commit(std::move(mutations)));
  return Ok();
}

std::shared_ptr<Environment> FindById(Environments& environments, const Uuid& id) {
  for (const std::shared_ptr<Environment>& environment : environments.List()) {
    if (environment->identity().id == id) {
      return environment;
    }
  }
  return nullptr;
}

}  // namespace

Bytes AcceptedRollback::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.Put(lost_commits);
  writer.PutFlag(settled);
  writer.Put(static_cast<std::uint32_t>(environments.size()));
  for (const Uuid& id : environments) {
    writer.PutRaw(id.View());
  }
  return writer.Take();
}

Result<AcceptedRollback> AcceptedRollback::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  AcceptedRollback accepted;
  accepted.lost_commits = reader.Get<std::uint64_t>();
  accepted.settled = reader.GetFlag();
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    accepted.environments.push_back(reader.GetUuid());
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "its length is wrong");
  }
  return accepted;
}

Result<std::unique_ptr<StoreGuard>> StoreGuard::Judge(SqliteStore& store, HsmRegistry& hsms,
                                                      ChainedAuditLog& audit,
                                                      StoreGuardOptions options) {
  auto guard = std::make_unique<StoreGuard>(Private{}, store, hsms, std::move(options));
  StoreJudgement judgement =
      KMS_TRY(JudgeStore(store, hsms, audit.store_revision_at_open(), guard->options_.hsm_timeout));
  const Status verdict = judgement.Verdict();
  if (!verdict.has_value()) {
    if (!guard->options_.accept_rollback) {
      return verdict.error();
    }
    KMS_TRY(guard->Accept(judgement, audit));
    return guard;
  }
  if (judgement.sys != nullptr) {
    KMS_TRY(guard->KeepDigest(judgement.sys->entries(), std::move(judgement.digest_key),
                              /*rebuild=*/!judgement.digest.good()));
    const auto accepted = KMS_TRY(ReadAccepted(judgement.sys->entries()));
    guard->rolled_back_ = accepted && !accepted->settled;
  }
  guard->DropOlderTokens(judgement);
  return guard;
}

Status StoreGuard::Accept(StoreJudgement& judgement, ChainedAuditLog& audit) {
  rolled_back_ = true;
  const std::uint64_t epoch = judgement.epochs.highest();
  if (judgement.sys == nullptr) {  // a new store beside an old log
    return audit.AcceptStore(judgement.revision, epoch);
  }
  SealedStore& sys = judgement.sys->entries();
  KMS_TRY(KeepDigest(sys, std::move(judgement.digest_key), /*rebuild=*/!judgement.digest.good()));
  AcceptedRollback accepted;
  accepted.lost_commits = judgement.lost_commits() + kUnseenCommits;
  // From here on the acceptance is finished whatever happens.
  KMS_TRY(WriteAccepted(sys, accepted));
  for (const TokenEpoch& token : judgement.older_tokens()) {
    KMS_TRY(ForgetEpoch(sys, token.hsm));
    Alarm("HSM " + token.hsm + " was set back and is accepted as it is");
  }
  KMS_TRY(audit.AcceptStore(judgement.revision, epoch));
  return store_.SkipRevisionsTo(std::max(judgement.seen_by_log, epoch) + 1);
}

// Sums first, then their key: a start that is cut short in between begins anew.
Status StoreGuard::KeepDigest(SealedStore& sys, std::optional<SecretBytes> key, bool rebuild) {
  const bool is_new = !key.has_value();
  if (is_new) {
    key = KMS_TRY(SecretBytes::OfSize(SetDigest::kKeyBytes));
    FillRandom(key->MutableView());
  }
  KMS_TRY(store_.StartDigest(*key, rebuild || is_new));
  if (is_new) {
    KMS_TRY(StoreDigestKey(sys, *key));
  }
  keeps_digest_ = true;
  return Ok();
}

void StoreGuard::DropOlderTokens(const StoreJudgement& judgement) {
  for (const TokenEpoch& token : judgement.older_tokens()) {
    const std::string why =
        "HSM " + token.hsm + " is not used: it holds epoch " + std::to_string(token.value) +
        ", but " + std::to_string(token.recorded) +
        " was written to it. It was set back, or restored from a backup of its own; start with "
        "--accept-rollback to use it as it is";
    Alarm(why);
    IgnoreError(hsms_.SetAside(token.hsm, why), "it is gone already");
  }
}

Status StoreGuard::Settle(Environments& environments) {
  SealedStore& sys = environments.sys()->store();
  if (!keeps_digest_) {
    KMS_TRY(KeepDigest(sys, std::nullopt, /*rebuild=*/true));
  }
  std::optional<AcceptedRollback> accepted = KMS_TRY(ReadAccepted(sys));
  if (accepted && !accepted->settled) {
    for (const std::shared_ptr<Environment>& environment : environments.List()) {
      accepted->environments.push_back(environment->identity().id);
    }
    accepted->settled = true;
    KMS_TRY(WriteAccepted(sys, accepted));
  }
  KMS_TRY(RaiseUsages(environments));
  epochs_ = std::make_unique<Epochs>(store_, sys, environments.sys()->identity().id, hsms_,
                                     options_.raise_timeout);
  Raise(environments);
  return Ok();
}

Status StoreGuard::RaiseUsages(Environments& environments) {
  const ScopedLock lock(usage_mutex_);
  SealedStore& sys = environments.sys()->store();
  std::optional<AcceptedRollback> accepted = KMS_TRY(ReadAccepted(sys));
  if (!accepted) {
    return Ok();
  }
  std::vector<Uuid> left;
  for (const Uuid& id : accepted->environments) {
    const std::shared_ptr<Environment> environment = FindById(environments, id);
    if (environment == nullptr) {
      continue;  // deleted meanwhile
    }
    if (environment->sealed() || !RaiseUsage(*environment, accepted->lost_commits).has_value()) {
      left.push_back(id);
    }
  }
  if (left == accepted->environments && !left.empty()) {
    return Ok();
  }
  accepted->environments = std::move(left);
  return WriteAccepted(sys, accepted->environments.empty() ? std::nullopt : accepted);
}

bool StoreGuard::Raise(Environments& environments) {
  const Status usages = RaiseUsages(environments);
  if (!usages.has_value()) {
    Alarm("usage counters could not be raised after a rollback: " + usages.error().public_message);
  }
  const Result<Epochs::Raised> raised = epochs_->Raise();
  if (!raised.has_value()) {
    Alarm("the epoch could not be raised: " + raised.error().public_message);
    return false;
  }
  TellNews(raised->problems);
  return raised->moved;
}

void StoreGuard::TellNews(const std::vector<std::string>& problems) {
  const ScopedLock lock(usage_mutex_);
  for (const std::string& problem : problems) {
    if (std::ranges::find(told_, problem) == told_.end()) {
      Alarm("the epoch was not raised: " + problem);
    }
  }
  told_ = problems;
}

Result<DigestReport> StoreGuard::CheckEntries(Environments& environments) {
  const std::optional<SecretBytes> key = KMS_TRY(ReadDigestKey(environments.sys()->store()));
  return key ? store_.CheckDigest(*key)
             : Result<DigestReport>(Corrupted("the key of the store's digest is gone"));
}

StoreStatement StoreGuard::Statement() {
  StoreStatement statement;
  statement.epoch = epochs_ == nullptr ? 0 : epochs_->epoch();
  if (const std::optional<DigestMark> mark = store_.digest_mark()) {
    statement.revision = mark->revision;
    statement.digest = mark->tag;
  }
  return statement;
}

void StoreGuard::Alarm(const std::string& what) const {
  if (options_.alarm) {
    options_.alarm(what);
  }
}

}  // namespace kms
