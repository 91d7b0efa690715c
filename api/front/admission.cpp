// SPDX-License-Identifier: Apache-2.0
// Admission: counters under a mutex; connections come and go rarely compared with requests.
#include "api/front/admission.h"

namespace kms::api {

bool Admission::Enter(const std::string& address) {
  const ScopedLock lock{mutex_};
  if (connections_ >= max_connections_) {
    return false;
  }
  if (max_per_address_ > 0) {
    std::size_t& share = per_address_[address];
    if (share >= max_per_address_) {
      return false;
    }
    ++share;
  }
  ++connections_;
  return true;
}

void Admission::Leave(const std::string& address) {
  const ScopedLock lock{mutex_};
  --connections_;
  const auto share = per_address_.find(address);
  if (share != per_address_.end() && --share->second == 0) {
    per_address_.erase(share);
  }
  if (connections_ == 0) {
    none_left_.notify_all();
  }
}

std::size_t Admission::connections() const {
  const ScopedLock lock{mutex_};
  return connections_;
}

bool Admission::AwaitNone(Deadline deadline) {
  std::unique_lock<Mutex> lock{mutex_};
  return none_left_.wait_until(lock, deadline, [this] { return connections_ == 0; });
}

}  // namespace kms::api
