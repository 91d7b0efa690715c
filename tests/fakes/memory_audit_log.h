// SPDX-License-Identifier: Apache-2.0
// MemoryAuditLog: the fake of AuditLog. Commits at once or when told to, and fails on demand.
#pragma once

#include <condition_variable>
#include <string>
#include <utility>
#include <vector>

#include "kms/audit/audit_log.h"
#include "kms/base/mutex.h"

namespace kms::testing {

// Thread rule: every member may be called from any thread. Listeners run on the thread that
// settles a record: that of Append, or that of CommitHeld and FailHeld.
class MemoryAuditLog final : public AuditLog {
 public:
  // ---- faults ----------------------------------------------------------------------------------

  // Append answers kUnavailable, as a full queue or a failing log does.
  void RefuseAppends(bool refuse = true) {
    const ScopedLock lock(mutex_);
    refuse_appends_ = refuse;
  }
  // Records are accepted, but writing them fails, as on a full disk.
  void FailWrites(bool fail = true) {
    const ScopedLock lock(mutex_);
    fail_writes_ = fail;
  }
  // The n-th record from now (1: the next one) cannot be written.
  void FailWrite(int n) {
    const ScopedLock lock(mutex_);
    failing_tickets_.push_back(states_.size() + static_cast<std::size_t>(n));
  }
  // Records stay pending until CommitHeld or FailHeld.
  void Hold(bool hold = true) {
    const ScopedLock lock(mutex_);
    hold_ = hold;
  }
  void CommitHeld() { SettleHeld(AuditState::kCommitted); }
  void FailHeld() { SettleHeld(AuditState::kFailed); }

  // ---- observation -----------------------------------------------------------------------------

  // The members of every committed record, in order.
  [[nodiscard]] std::vector<std::string> records() const {
    const ScopedLock lock(mutex_);
    return committed_;
  }
  [[nodiscard]] int appends() const {
    const ScopedLock lock(mutex_);
    return appends_;
  }
  [[nodiscard]] int wakes() const {
    const ScopedLock lock(mutex_);
    return wakes_;
  }

  // ---- AuditLog --------------------------------------------------------------------------------

  Result<AuditTicket> Append(std::string_view members) override {
    AuditTicket ticket = 0;
    bool settled = false;
    {
      const ScopedLock lock(mutex_);
      ++appends_;
      if (refuse_appends_) {
        return Unavailable("the audit log is not available", "planned by the test");
      }
      ticket = states_.size() + 1;
      const bool fails = fail_writes_ || std::erase(failing_tickets_, ticket) != 0;
      states_.push_back(AuditState::kPending);
      texts_.emplace_back(members);
      if (fails || !hold_) {
        Settle(ticket, fails ? AuditState::kFailed : AuditState::kCommitted);
        settled = true;
      }
    }
    if (settled) {
      Announce();
    }
    return ticket;
  }

  void Wake() override {
    const ScopedLock lock(mutex_);
    ++wakes_;
  }

  [[nodiscard]] AuditState State(AuditTicket ticket) const override {
    const ScopedLock lock(mutex_);
    return StateLocked(ticket);
  }

  Status Await(AuditTicket ticket, Deadline deadline) override {
    const ScopedLock lock(mutex_);
    ++wakes_;
    while (StateLocked(ticket) == AuditState::kPending) {
      if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
        break;
      }
    }
    if (StateLocked(ticket) != AuditState::kCommitted) {
      return Unavailable("the audit log is not available", "planned by the test");
    }
    return Ok();
  }

  void Subscribe(std::function<void()> listener) override {
    const ScopedLock lock(mutex_);
    listeners_.push_back(std::move(listener));
  }

  [[nodiscard]] bool healthy() const override {
    const ScopedLock lock(mutex_);
    return healthy_;
  }

 private:
  AuditState StateLocked(AuditTicket ticket) const KMS_REQUIRES(mutex_) {
    return ticket == 0 || ticket > states_.size() ? AuditState::kFailed : states_[ticket - 1];
  }

  void Settle(AuditTicket ticket, AuditState state) KMS_REQUIRES(mutex_) {
    states_[ticket - 1] = state;
    healthy_ = state == AuditState::kCommitted;
    if (state == AuditState::kCommitted) {
      committed_.push_back(texts_[ticket - 1]);
    }
  }

  void SettleHeld(AuditState state) {
    {
      const ScopedLock lock(mutex_);
      for (AuditTicket ticket = 1; ticket <= states_.size(); ++ticket) {
        if (states_[ticket - 1] == AuditState::kPending) {
          Settle(ticket, state);
        }
      }
    }
    Announce();
  }

  void Announce() {
    changed_.notify_all();
    std::vector<std::function<void()>> listeners;
    {
      const ScopedLock lock(mutex_);
      listeners = listeners_;
    }
    for (const auto& listener : listeners) {
      listener();
    }
  }

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<AuditState> states_ KMS_GUARDED_BY(mutex_);  // of ticket i + 1
  std::vector<std::string> texts_ KMS_GUARDED_BY(mutex_);
  std::vector<std::string> committed_ KMS_GUARDED_BY(mutex_);
  std::vector<AuditTicket> failing_tickets_ KMS_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> listeners_ KMS_GUARDED_BY(mutex_);
  bool refuse_appends_ KMS_GUARDED_BY(mutex_) = false;
  bool fail_writes_ KMS_GUARDED_BY(mutex_) = false;
  bool hold_ KMS_GUARDED_BY(mutex_) = false;
  bool healthy_ KMS_GUARDED_BY(mutex_) = true;
  int appends_ KMS_GUARDED_BY(mutex_) = 0;
  int wakes_ KMS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kms::testing
