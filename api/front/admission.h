// SPDX-License-Identifier: Apache-2.0
// Admission: how many connections there may be, together and per address.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <string>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"

namespace kms::api {

// Thread rule: any thread.
class Admission {
 public:
  // `max_per_address` 0: no share.
  Admission(std::size_t max_connections, std::size_t max_per_address)
      : max_connections_(max_connections), max_per_address_(max_per_address) {}

  // False when a limit is reached; after true, call Leave once.
  [[nodiscard]] bool Enter(const std::string& address);
  void Leave(const std::string& address);

  [[nodiscard]] std::size_t connections() const;
  // False when `deadline` passed first.
  bool AwaitNone(Deadline deadline);

 private:
  const std::size_t max_connections_;
  const std::size_t max_per_address_;

  mutable Mutex mutex_;
  std::condition_variable_any none_left_;
  std::size_t connections_ KMS_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::size_t> per_address_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms::api
