// SPDX-License-Identifier: Apache-2.0
// SessionPool: the sessions of one login, leased to one call at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <optional>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

// Opens sessions when they are first needed, keeps the good ones and closes every one that failed.
// When the token has forgotten one of them, none that was opened before is used again: it has most
// often forgotten all (H1).
// When the token grants fewer than asked for, the pool makes do with what it got.
// Thread rule: any thread. `module` must outlive it, and it every lease.
class SessionPool {
 public:
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Session& session() { return *session_; }

   private:
    friend class SessionPool;
    Lease(SessionPool& pool, Session session, std::uint64_t generation)
        : pool_(&pool), session_(std::move(session)), generation_(generation) {}

    SessionPool* pool_;
    std::optional<Session> session_;
    std::uint64_t generation_;
  };

  SessionPool(const Module& module, CK_SLOT_ID slot, std::uint32_t size)
      : module_(module), slot_(slot), limit_(size == 0 ? 1 : size) {}

  // Waits for a session until `deadline`. Errors: kUnavailable "the HSM is busy"; what
  // C_OpenSession says, with its value in `failure`.
  Result<Lease> Acquire(Deadline deadline, std::optional<Rv>& failure);

  // Gives back to the token what nobody uses now.
  void CloseIdle();

  struct Gauge {
    std::uint32_t open = 0;
    std::uint32_t in_use = 0;
    std::uint32_t waiting = 0;
    std::uint32_t limit = 0;
  };
  [[nodiscard]] Gauge gauge() const;

 private:
  void Return(Session session, std::uint64_t generation);
  void Close(std::vector<Session> sessions);
  // Opens a session for a place that was counted already; gives the place back on failure.
  Result<Lease> OpenCounted(std::optional<Rv>& failure, bool& shrunk);

  const Module& module_;
  const CK_SLOT_ID slot_;

  mutable Mutex mutex_;
  std::condition_variable_any returned_;
  std::uint32_t limit_ KMS_GUARDED_BY(mutex_);
  std::uint32_t open_ KMS_GUARDED_BY(mutex_) = 0;
  std::uint32_t waiting_ KMS_GUARDED_BY(mutex_) = 0;
  std::uint64_t generation_ KMS_GUARDED_BY(mutex_) = 0;  // how often sessions were forgotten
  std::vector<Session> idle_ KMS_GUARDED_BY(mutex_);     // all of this generation
};

}  // namespace kms::pkcs11
