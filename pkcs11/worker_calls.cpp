// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/worker_calls.h"

#include <algorithm>
#include <utility>

namespace kms::pkcs11 {

Result<WorkerCalls::Entry> WorkerCalls::Add(Deadline deadline) {
  if (in_flight_.size() >= limit_) {
    return Unavailable("HSM is busy", "too many calls wait for the HSM worker");
  }
  Entry entry{.id = NextId(), .call = std::make_shared<WaitingCall>()};
  in_flight_.emplace(entry.id, InFlight{deadline, entry.call});
  return entry;
}

void WorkerCalls::Abandon(std::uint64_t id) {
  const auto found = in_flight_.find(id);
  if (found != in_flight_.end()) {
    found->second.call.reset();
  }
}

bool WorkerCalls::Complete(std::uint64_t id, WorkerReplyBody body) {
  const auto found = in_flight_.extract(id);
  if (!found) {
    return false;
  }
  if (const std::shared_ptr<WaitingCall>& call = found.mapped().call; call != nullptr) {
    call->reply = std::move(body);
    call->changed.notify_one();
  }
  return true;
}

void WorkerCalls::WakeAll() const {
  for (const auto& [id, in_flight] : in_flight_) {
    if (in_flight.call != nullptr) {
      in_flight.call->changed.notify_one();
    }
  }
}

void WorkerCalls::LoseAll() {
  for (const auto& [id, in_flight] : in_flight_) {
    if (in_flight.call != nullptr) {
      in_flight.call->lost = true;
      in_flight.call->changed.notify_one();
    }
  }
  in_flight_.clear();
}

std::optional<Deadline> WorkerCalls::EarliestDeadline() const {
  if (in_flight_.empty()) {
    return std::nullopt;
  }
  return std::ranges::min_element(in_flight_, {},
                                  [](const auto& entry) { return entry.second.deadline; })
      ->second.deadline;
}

}  // namespace kms::pkcs11
