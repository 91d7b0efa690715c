// SPDX-License-Identifier: Apache-2.0
// Leasing of sessions.
#include "pkcs11/session_pool.h"

#include <utility>

namespace kms::pkcs11 {
namespace {

bool IsForgotten(const Session& session) {
  const std::optional<Rv>& failure = session.failure();
  return failure.has_value() && (failure->value == CKR_SESSION_HANDLE_INVALID ||
                                 failure->value == CKR_SESSION_CLOSED);
}

}  // namespace

SessionPool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      session_(std::move(other.session_)),
      generation_(other.generation_) {}

SessionPool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->Return(std::move(*session_), generation_);
}

Result<SessionPool::Lease> SessionPool::Acquire(Deadline deadline, std::optional<Rv>& failure) {
  bool shrunk = true;
  while (shrunk) {
    {
      ScopedLock lock(mutex_);
      ++waiting_;
      bool in_time = true;
      while (idle_.empty() && open_ >= limit_ && in_time) {
        in_time = returned_.wait_until(mutex_, deadline) == std::cv_status::no_timeout;
      }
      --waiting_;
      if (!idle_.empty()) {
        Lease lease(*this, std::move(idle_.back()), generation_);
        idle_.pop_back();
        return lease;
      }
      if (open_ >= limit_) {
        return Unavailable("the HSM is busy; retry later", "no session became free in time");
      }
      ++open_;
    }
    auto lease = OpenCounted(failure, shrunk);
    if (lease.has_value() || !shrunk) return lease;
  }
  return Internal("session pool");
}

Result<SessionPool::Lease> SessionPool::OpenCounted(std::optional<Rv>& failure, bool& shrunk) {
  std::optional<Session> session;
  std::uint64_t generation = 0;
  {
    ScopedLock lock(mutex_);
    generation = generation_;  // before it is opened: it may be forgotten at once
  }
  const Rv rv = Session::Open(module_, slot_, session);
  if (rv.ok()) return Lease(*this, std::move(*session), generation);

  ScopedLock lock(mutex_);
  --open_;
  // The token grants no more: make do with those it gave, unless it gave none.
  shrunk = rv.kind() == RvKind::kBusy && open_ > 0;
  if (shrunk) {
    limit_ = open_;
  } else {
    failure = rv;
    returned_.notify_one();
  }
  return rv.ToError();
}

void SessionPool::Return(Session session, std::uint64_t generation) {
  std::vector<Session> closing;
  {
    ScopedLock lock(mutex_);
    if (generation == generation_ && IsForgotten(session)) {
      ++generation_;
      std::swap(closing, idle_);
    }
    if (session.failure().has_value() || session.is_spent() || generation != generation_) {
      closing.push_back(std::move(session));
    } else {
      idle_.push_back(std::move(session));
      returned_.notify_one();
    }
  }
  Close(std::move(closing));
}

void SessionPool::CloseIdle() {
  std::vector<Session> closing;
  {
    ScopedLock lock(mutex_);
    std::swap(closing, idle_);
  }
  Close(std::move(closing));
}

// Their places are free when the token has closed them: it may grant no more (H17).
void SessionPool::Close(std::vector<Session> sessions) {
  const auto closed = static_cast<std::uint32_t>(sessions.size());
  if (closed == 0) return;
  sessions.clear();
  ScopedLock lock(mutex_);
  open_ -= closed;
  closed > 1 ? returned_.notify_all() : returned_.notify_one();
}

SessionPool::Gauge SessionPool::gauge() const {
  ScopedLock lock(mutex_);
  return {.open = open_,
          .in_use = open_ - static_cast<std::uint32_t>(idle_.size()),
          .waiting = waiting_,
          .limit = limit_};
}

}  // namespace kms::pkcs11
