// SPDX-License-Identifier: Apache-2.0
// Approvals: requests that two people must agree on: kept, approved by another than who asked,
// executed once (failures U25, O1).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/identity/approval_record.h"
#include "kms/master/sealed_store.h"

namespace kms {

struct ApprovalsOptions {
  std::int64_t lifetime_seconds = 24 * 3600;      // of the wait, and then of the result
  std::int64_t remembered_seconds = 30 * 86'400;  // how long after that it is still shown
  std::size_t max_pending_per_actor = 50;
  std::size_t max_entries = 5'000;
};

inline constexpr std::size_t kMaxApprovalBodyBytes = std::size_t{16} << 10U;
inline constexpr std::size_t kMaxApprovalResultBytes = std::size_t{128} << 10U;

// How an execution ended.
struct ApprovalOutcome {
  int status = 0;                // of the answer; 2xx is a success
  std::string_view result = {};  // what is kept for the requester; empty: nothing
};

// Entries in `sys`: approvals/<id>, approval-results/<id>. Who may do what is decided by the
// caller, but for the rule of two: an approver's actor is not the requester's. Errors of all: store
// errors. Thread rule: any thread.
class Approvals {
 public:
  // Both must outlive it.
  Approvals(SealedStore& sys, const Clock& clock, ApprovalsOptions options = {})
      : sys_(sys), clock_(clock), options_(options) {}

  // Keeps the request until somebody approves it. The same request of the same token that waits
  // already is answered with that one. Errors: kInvalidArgument (body too large, a requester that
  // has no accessor or no actor), kResourceExhausted when too many wait.
  Result<Approval> Create(ApprovalDemand demand, const ApprovalParty& requester);
  // nullopt when there is none of that id.
  Result<std::optional<Approval>> Get(const Uuid& id);
  // All, the newest first.
  Result<std::vector<Approval>> List();

  // Takes a pending request for execution, exactly once, durably, before anything is executed: what
  // a crash then interrupts stays kApproved with an unknown outcome. The result's `claim` goes to
  // Finish. Errors: kNotFound "no such approval request"; kPermissionDenied when `approver` is the
  // requester; kInvalidArgument when it is not pending any more, saying what it is.
  Result<Approval> Claim(const Uuid& id, const ApprovalParty& approver);
  // Records how the execution ended; a result beyond kMaxApprovalResultBytes is not kept.
  Status Finish(const Approval& claimed, const ApprovalOutcome& outcome);
  // Withdraws a pending request. Errors: as Claim, without the rule of two.
  Status Cancel(const Uuid& id, const ApprovalParty& by);
  // The result, for the one caller who gets it. Errors: kNotFound when there is none, it was read
  // or it has expired.
  Result<SecretBytes> TakeResult(const Uuid& id);

  // Deletes what is over and forgotten, and results that nobody came for; returns how many entries
  // went. `stop` is asked between entries.
  Result<std::size_t> Tidy(const std::function<bool()>& stop);

  [[nodiscard]] std::int64_t Now() const { return ToUnixSeconds(clock_.Now()); }
  [[nodiscard]] const ApprovalsOptions& options() const { return options_; }

 private:
  struct Stored;

  Result<std::optional<Stored>> Read(const Uuid& id);
  Result<Stored> ReadPending(const Uuid& id);
  // The waiting one that is the same request, or nullopt when there is room for a new one.
  Result<std::optional<Approval>> FindSame(const ApprovalDemand& demand,
                                           const ApprovalParty& requester);
  // Stores `next` over the record at `expected` (0: there is none) together with `more`.
  Status Write(const Approval& next, Revision expected, std::vector<SealedMutation> more);
  Result<std::size_t> TidyOne(const Uuid& id);

  SealedStore& sys_;
  const Clock& clock_;
  const ApprovalsOptions options_;
  // One request at a time is made, so that their number is exact; held over store I/O.
  Mutex create_mutex_;
};

}  // namespace kms
