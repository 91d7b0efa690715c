// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/token_uses.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace kms {

struct TokenUses::Lane {
  struct Ticket {
    std::optional<Status> outcome;
  };

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Ticket*> waiting;
  bool led = false;  // someone is at the store for this token
  int inside = 0;    // guarded by TokenUses::mutex_
};

TokenUses::TokenUses() = default;
TokenUses::~TokenUses() = default;

std::shared_ptr<TokenUses::Lane> TokenUses::Enter(const Sha256Digest& id) {
  const ScopedLock lock(mutex_);
  std::shared_ptr<Lane>& lane = lanes_[id];
  if (lane == nullptr) {
    lane = std::make_shared<Lane>();
  }
  ++lane->inside;
  return lane;
}

void TokenUses::Leave(const Sha256Digest& id, std::shared_ptr<Lane> lane) {
  const ScopedLock lock(mutex_);
  if (--lane->inside == 0) {
    lanes_.erase(id);
  }
}

Status TokenUses::SpendOne(const Sha256Digest& id, const Take& take) {
  const std::shared_ptr<Lane> lane = Enter(id);
  Lane::Ticket ticket;
  std::unique_lock lock(lane->mutex);
  lane->waiting.push_back(&ticket);
  lane->changed.wait(lock, [&] { return ticket.outcome.has_value() || !lane->led; });
  if (!ticket.outcome) {
    // The one who leads takes for everybody who waits by now, itself among them.
    lane->led = true;
    const std::vector<Lane::Ticket*> batch = std::exchange(lane->waiting, {});
    lock.unlock();
    const Result<std::int64_t> got = take(id, static_cast<std::int64_t>(batch.size()));
    lock.lock();
    std::int64_t left = got.value_or(0);
    for (Lane::Ticket* const served : batch) {
      if (left-- > 0) {
        served->outcome = Ok();
        continue;
      }
      served->outcome = got.has_value()
                            ? Status(MakeError(ErrorCode::kPermissionDenied, "permission denied"))
                            : Status(got.error());
    }
    lane->led = false;
    lane->changed.notify_all();
  }
  lock.unlock();
  Leave(id, lane);
  return *std::move(ticket.outcome);
}

}  // namespace kms
