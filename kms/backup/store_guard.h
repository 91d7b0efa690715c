// SPDX-License-Identifier: Apache-2.0
// StoreGuard: what is done about a store, a token or entries that are not as new as they should be:
// refused, or accepted by name with everything that makes it safe (failures D11, D12).
//
// Sealed in `sys` at "accepted-rollback" until it is done: how much was lost and which environments
// still have to raise their usage counters, so that an acceptance that is cut short goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/audit/chained_audit_log.h"
#include "kms/audit/checkpoint.h"
#include "kms/backup/epochs.h"
#include "kms/backup/store_judgement.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/hsm_registry.h"
#include "kms/operations/environments.h"
#include "kms/store/sqlite_store.h"

namespace kms {

struct AcceptedRollback {
  std::uint64_t lost_commits = 0;
  bool settled = false;            // tokens are forgotten, the environments below are known
  std::vector<Uuid> environments;  // whose usage counters are not raised yet

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<AcceptedRollback> Decode(ByteView encoded);
  friend bool operator==(const AcceptedRollback&, const AcceptedRollback&) = default;
};

struct StoreGuardOptions {
  bool accept_rollback = false;
  std::chrono::milliseconds hsm_timeout{5000};    // per HSM call at the start
  std::chrono::milliseconds raise_timeout{1000};  // afterwards
  // What an operator should hear of at once; may be empty.
  std::function<void(std::string_view what)> alarm;
};

// Thread rule: Judge and Settle in this order by one thread, then any thread.
class StoreGuard {
 private:
  struct Private {};

 public:
  // Before anything else uses store and log. A token that was set back is removed from `hsms` when
  // another one is as new as the store. All must outlive the guard. Errors: kCorrupted with both
  // figures and what to do; what keeps `sys` from being opened.
  static Result<std::unique_ptr<StoreGuard>> Judge(SqliteStore& store, HsmRegistry& hsms,
                                                   ChainedAuditLog& audit,
                                                   StoreGuardOptions options);

  StoreGuard(Private, SqliteStore& store, HsmRegistry& hsms, StoreGuardOptions options)
      : store_(store), hsms_(hsms), options_(std::move(options)) {}

  // Whether tokens of callers that were revoked may be back: every one but the root token is to be
  // forgotten before Settle.
  [[nodiscard]] bool rolled_back() const { return rolled_back_; }

  // Once environments are open: raises usage counters, keeps the digest of a new store, and writes
  // the first epoch. Errors: store errors.
  Status Settle(Environments& environments);

  // Raises the tokens to the store's revision and the counters of environments that were sealed.
  // Now and then, and at the end. True when the log's head should be signed again. Never fails:
  // what does not work is told to the alarm.
  bool Raise(Environments& environments);

  // Compares the store's entries with their digest, as a scrub does: reads all of them. Errors:
  // store errors, those of `sys`.
  Result<DigestReport> CheckEntries(Environments& environments);
  // What checkpoints say of the store.
  [[nodiscard]] StoreStatement Statement();
  [[nodiscard]] Epochs& epochs() { return *epochs_; }

 private:
  Status Accept(StoreJudgement& judgement, ChainedAuditLog& audit);
  Status KeepDigest(SealedStore& sys, std::optional<SecretBytes> key, bool rebuild);
  void DropOlderTokens(const StoreJudgement& judgement);
  Status RaiseUsages(Environments& environments);
  void TellNews(const std::vector<std::string>& problems);
  void Alarm(const std::string& what) const;

  SqliteStore& store_;
  HsmRegistry& hsms_;
  const StoreGuardOptions options_;
  bool rolled_back_ = false;
  bool keeps_digest_ = false;
  std::unique_ptr<Epochs> epochs_;                              // set by Settle
  Mutex usage_mutex_;                                           // one round of raising at a time
  std::vector<std::string> told_ KMS_GUARDED_BY(usage_mutex_);  // problems that the alarm knows
};

}  // namespace kms
