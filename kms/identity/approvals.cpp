// SPDX-License-Identifier: Apache-2.0
// Every change of an approval's stage is one compare-and-set commit that leaves a fresh claim, so
// that of two that race one wins, and a commit of unknown outcome is settled by rereading.
#include "kms/identity/approvals.h"

#include <algorithm>
#include <utility>

namespace kms {

namespace {

constexpr std::string_view kPrefix = "approvals/";
constexpr std::string_view kResultsPrefix = "approval-results/";
constexpr std::size_t kEntriesPerPage = 500;

std::string PathOf(const Uuid& id) { return std::string(kPrefix) + id.ToString(); }
std::string ResultPathOf(const Uuid& id) { return std::string(kResultsPrefix) + id.ToString(); }

Error NoSuchRequest() { return NotFound("no such approval request"); }
Error NoResult() { return NotFound("there is no result to read"); }

bool IsSuccess(int status) { return status >= 200 && status < 300; }

Status CheckParty(const ApprovalParty& party) {
  if (party.actor.empty() || party.accessor.empty()) {
    return InvalidArgument(
        "this needs the approval of a second person, which a batch token cannot take part in: use "
        "a "
        "service token");
  }
  return Ok();
}

}  // namespace

struct Approvals::Stored {
  Approval approval;
  Revision revision = 0;
};

Result<std::optional<Approvals::Stored>> Approvals::Read(const Uuid& id) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(PathOf(id)));
  if (!entry) {
    return std::optional<Stored>{};
  }
  Stored stored{.approval = KMS_TRY(Approval::Decode(entry->value.View())),
                .revision = entry->revision};
  if (stored.approval.id != id) {
    return Corrupted("damaged entry", "approval of another id");
  }
  return std::optional<Stored>{std::move(stored)};
}

Result<Approvals::Stored> Approvals::ReadPending(const Uuid& id) {
  std::optional<Stored> stored = KMS_TRY(Read(id));
  if (!stored) {
    return NoSuchRequest();
  }
  const Approval& approval = stored->approval;
  if (approval.stage != ApprovalStage::kPending || approval.Expired(Now())) {
    return InvalidArgument("the request is not waiting for approval: it is " +
                           std::string(approval.StateName(Now())));
  }
  return *std::move(stored);
}

Status Approvals::Write(const Approval& next, Revision expected, std::vector<SealedMutation> more) {
  more.push_back(
      {.path = PathOf(next.id), .value = KMS_TRY(next.Encode()), .expected_revision = expected});
  const Result<Revision> committed = sys_.Commit(std::move(more));
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code == ErrorCode::kConflict) {
    return InvalidArgument("the request was decided by somebody else at the same time");
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const Result<std::optional<Stored>> now = Read(next.id);
  if (!now) {
    return committed.error();
  }
  if (*now && (*now)->approval.claim == next.claim) {
    return Ok();
  }
  if (!*now || (*now)->revision == expected) {
    return Unavailable("storage failed, nothing was changed", committed.error().detail);
  }
  return InvalidArgument("the request was decided by somebody else at the same time");
}

Result<std::optional<Approval>> Approvals::FindSame(const ApprovalDemand& demand,
                                                    const ApprovalParty& requester) {
  std::vector<Approval> all = KMS_TRY(List());
  const Sha256Digest digest = demand.Digest();
  std::size_t waiting = 0;
  for (Approval& approval : all) {
    if (approval.stage != ApprovalStage::kPending || approval.Expired(Now()) ||
        approval.requester.actor != requester.actor) {
      continue;
    }
    if (approval.requester.accessor == requester.accessor && approval.demand.Digest() == digest) {
      return std::optional<Approval>{std::move(approval)};
    }
    ++waiting;
  }
  if (waiting >= options_.max_pending_per_actor || all.size() >= options_.max_entries) {
    return MakeError(ErrorCode::kResourceExhausted,
                     "too many requests wait for approval: cancel some, or wait");
  }
  return std::optional<Approval>{};
}

Result<Approval> Approvals::Create(ApprovalDemand demand, const ApprovalParty& requester) {
  KMS_TRY(CheckParty(requester));
  if (demand.body.size() > kMaxApprovalBodyBytes) {
    return InvalidArgument("the request is too large to be kept for approval");
  }
  const ScopedLock lock(create_mutex_);
  if (std::optional<Approval> same = KMS_TRY(FindSame(demand, requester))) {
    return *std::move(same);
  }
  Approval approval;
  approval.id = Uuid::Random();
  approval.claim = Uuid::Random();
  approval.demand = std::move(demand);
  approval.requester = requester;
  approval.created_unix_seconds = Now();
  approval.expires_unix_seconds = approval.created_unix_seconds + options_.lifetime_seconds;
  KMS_TRY(Write(approval, 0, {}));
  return approval;
}

Result<std::optional<Approval>> Approvals::Get(const Uuid& id) {
  std::optional<Stored> stored = KMS_TRY(Read(id));
  if (!stored) {
    return std::optional<Approval>{};
  }
  return std::optional<Approval>{std::move(stored->approval)};
}

Result<std::vector<Approval>> Approvals::List() {
  const std::vector<ListedEntry> entries = KMS_TRY(sys_.List(kPrefix, {}, options_.max_entries));
  std::vector<Approval> approvals;
  for (const ListedEntry& listed : entries) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(listed.path));
    if (entry) {  // not deleted since
      approvals.push_back(KMS_TRY(Approval::Decode(entry->value.View())));
    }
  }
  std::ranges::sort(approvals, [](const Approval& a, const Approval& b) {
    return a.created_unix_seconds != b.created_unix_seconds
               ? a.created_unix_seconds > b.created_unix_seconds
               : a.id < b.id;
  });
  return approvals;
}

Result<Approval> Approvals::Claim(const Uuid& id, const ApprovalParty& approver) {
  KMS_TRY(CheckParty(approver));
  Stored stored = KMS_TRY(ReadPending(id));
  Approval& approval = stored.approval;
  if (approver.actor == approval.requester.actor ||
      approver.accessor == approval.requester.accessor) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "a request is approved by somebody else than who made it");
  }
  approval.stage = ApprovalStage::kApproved;
  approval.claim = Uuid::Random();
  approval.approver = approver;
  approval.decided_unix_seconds = Now();
  KMS_TRY(Write(approval, stored.revision, {}));
  return std::move(approval);
}

Status Approvals::Finish(const Approval& claimed, const ApprovalOutcome& outcome) {
  std::optional<Stored> stored = KMS_TRY(Read(claimed.id));
  if (!stored || stored->approval.stage != ApprovalStage::kApproved ||
      stored->approval.claim != claimed.claim) {
    return Internal("an execution ended that was not begun");
  }
  Approval& approval = stored->approval;
  approval.stage = IsSuccess(outcome.status) ? ApprovalStage::kExecuted : ApprovalStage::kFailed;
  approval.claim = Uuid::Random();
  approval.status = outcome.status;
  approval.expires_unix_seconds = Now() + options_.lifetime_seconds;
  approval.has_result = !outcome.result.empty() && outcome.result.size() <= kMaxApprovalResultBytes;
  std::vector<SealedMutation> more;
  if (approval.has_result) {
    more.push_back({.path = ResultPathOf(approval.id),
                    .value = KMS_TRY(SecretBytes::CopyOf(AsBytes(outcome.result))),
                    .expected_revision = Revision{0}});
  }
  return Write(approval, stored->revision, std::move(more));
}

Status Approvals::Cancel(const Uuid& id, const ApprovalParty& by) {
  Stored stored = KMS_TRY(ReadPending(id));
  stored.approval.stage = ApprovalStage::kCancelled;
  stored.approval.claim = Uuid::Random();
  stored.approval.approver = by;
  stored.approval.decided_unix_seconds = Now();
  return Write(stored.approval, stored.revision, {});
}

Result<SecretBytes> Approvals::TakeResult(const Uuid& id) {
  std::optional<Stored> stored = KMS_TRY(Read(id));
  if (!stored || !stored->approval.has_result || stored->approval.expires_unix_seconds <= Now()) {
    return NoResult();
  }
  std::optional<OpenedEntry> result = KMS_TRY(sys_.Get(ResultPathOf(id)));
  if (!result) {
    return NoResult();
  }
  stored->approval.has_result = false;
  stored->approval.claim = Uuid::Random();
  std::vector<SealedMutation> more;
  more.push_back(
      {.path = ResultPathOf(id), .value = std::nullopt, .expected_revision = result->revision});
  const Status taken = Write(stored->approval, stored->revision, std::move(more));
  if (!taken) {
    const bool lost_the_race = taken.error().code == ErrorCode::kInvalidArgument;
    return lost_the_race ? NoResult() : taken.error();
  }
  return std::move(result->value);
}

Result<std::size_t> Approvals::TidyOne(const Uuid& id) {
  std::optional<Stored> stored = KMS_TRY(Read(id));
  if (!stored || stored->approval.expires_unix_seconds > Now()) {
    return std::size_t{0};
  }
  const bool forgotten =
      stored->approval.expires_unix_seconds + options_.remembered_seconds <= Now();
  const bool has_result = stored->approval.has_result;
  if (!forgotten && !has_result) {
    return std::size_t{0};
  }
  std::vector<SealedMutation> mutations;
  if (has_result) {
    mutations.push_back(
        {.path = ResultPathOf(id), .value = std::nullopt, .expected_revision = std::nullopt});
  }
  if (!forgotten) {
    stored->approval.has_result = false;
    stored->approval.claim = Uuid::Random();
    KMS_TRY(Write(stored->approval, stored->revision, std::move(mutations)));
    return std::size_t{1};
  }
  mutations.push_back(
      {.path = PathOf(id), .value = std::nullopt, .expected_revision = stored->revision});
  const std::size_t entries = mutations.size();
  KMS_TRY(sys_.Commit(std::move(mutations)));
  return entries;
}

Result<std::size_t> Approvals::Tidy(const std::function<bool()>& stop) {
  std::size_t deleted = 0;
  std::string after;
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(sys_.List(kPrefix, after, kEntriesPerPage));
    for (const ListedEntry& entry : page) {
      if (stop()) {
        return deleted;
      }
      after = entry.path;
      const Result<Uuid> id = Uuid::Parse(std::string_view(entry.path).substr(kPrefix.size()));
      const Result<std::size_t> gone = id ? TidyOne(*id) : Result<std::size_t>(id.error());
      const bool skipped = !gone && (gone.error().code == ErrorCode::kCorrupted ||
                                     gone.error().code == ErrorCode::kConflict ||
                                     gone.error().code == ErrorCode::kInvalidArgument);
      if (!gone && !skipped) {  // a damaged or changing entry must not keep the others
        return gone.error();
      }
      deleted += gone.value_or(0);
    }
    if (page.size() < kEntriesPerPage) {
      return deleted;
    }
  }
}

}  // namespace kms
