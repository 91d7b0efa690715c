// SPDX-License-Identifier: Apache-2.0
// Epochs: the revision of the store as the HSM tokens remember it, so that a store, a backup or a
// token that is older is noticed (failures D12).
//
// In each token: a number that only grows, named by the id of `sys` (kms/master/epoch_counter.h).
// In `sys`, at "epochs/<hsm>": what was last written to which token, so that a token that came back
// from a backup of its own is noticed too.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/sealed_store.h"
#include "kms/store/store.h"

namespace kms {

struct EpochRecord {
  std::uint64_t value = 0;
  std::string token_serial;  // another token under the same name has no past here

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<EpochRecord> Decode(ByteView encoded);
  friend bool operator==(const EpochRecord&, const EpochRecord&) = default;
};

// What one token says, and what was written to it.
struct TokenEpoch {
  std::string hsm;
  std::string serial;
  std::uint64_t value = 0;     // 0: none yet
  std::uint64_t recorded = 0;  // 0: nothing
  [[nodiscard]] bool older() const { return value < recorded; }
};

struct EpochReading {
  std::vector<TokenEpoch> tokens;   // of those that answer and can keep one
  std::vector<std::string> silent;  // those that do not answer, or cannot
  [[nodiscard]] std::uint64_t highest() const;
};

// Asks every token of the registry. `timeout` is that of one HSM call to a token that has none of
// its own. Errors: those of `sys`.
Result<EpochReading> ReadEpochs(SealedStore& sys, const Uuid& sys_id, HsmRegistry& hsms,
                                std::chrono::milliseconds timeout);

// Forgets what was written to a token: it was accepted as it is. Errors: those of `sys`.
Status ForgetEpoch(SealedStore& sys, const std::string& hsm);

// Raises the tokens while the service runs. Thread rule: any thread; one raise at a time, its lock
// is held over HSM calls and commits.
class Epochs {
 public:
  // All must outlive it. `store` is the one that `sys` is in; `timeout` as for ReadEpochs.
  Epochs(Store& store, SealedStore& sys, const Uuid& sys_id, HsmRegistry& hsms,
         std::chrono::milliseconds timeout)
      : store_(store), sys_(sys), sys_id_(sys_id), hsms_(hsms), timeout_(timeout) {}

  struct Raised {
    std::uint64_t epoch = 0;            // what the tokens hold now
    std::vector<std::string> problems;  // tokens that were not raised and why, for operators
    bool moved = false;                 // false: nothing was committed since the last time
  };
  // Raises every token that answers to the store's revision, unless nothing but its own records was
  // committed since the last time. A token that is ahead of the store is a problem, and so is one
  // that has gone back. Errors: store errors.
  Result<Raised> Raise();

  // What they were last raised to in this process; 0: not yet.
  [[nodiscard]] std::uint64_t epoch() const;

 private:
  Result<Raised> RaiseTo(Revision epoch, Revision current) KMS_REQUIRES(mutex_);
  Status RaiseOne(const std::string& hsm, Revision revision, std::vector<SealedMutation>& records,
                  std::vector<std::string>& problems);

  Store& store_;
  SealedStore& sys_;
  const Uuid sys_id_;
  HsmRegistry& hsms_;
  const std::chrono::milliseconds timeout_;

  mutable Mutex mutex_;
  std::uint64_t epoch_ KMS_GUARDED_BY(mutex_) = 0;
  Revision settled_ KMS_GUARDED_BY(mutex_) = 0;    // of the commit of the last records
  std::size_t behind_ KMS_GUARDED_BY(mutex_) = 0;  // tokens that the last raise did not reach
};

}  // namespace kms
