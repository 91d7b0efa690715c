// SPDX-License-Identifier: Apache-2.0
// LeaseKeepers: the threads that keep leases. One per HSM token, so that one that hangs holds up no
// other, and one that seals what none has proven in time.
#pragma once

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "kms/base/mutex.h"
#include "kms/operations/environments.h"

namespace kms::api {

// Thread rule: any thread.
class LeaseKeepers {
 public:
  // Has a thread for each token of the registry. `environments` must outlive it.
  explicit LeaseKeepers(Environments& environments);
  ~LeaseKeepers();
  LeaseKeepers(const LeaseKeepers&) = delete;
  LeaseKeepers& operator=(const LeaseKeepers&) = delete;

  // Starts threads for tokens that are new in the registry and tells those of tokens that are gone
  // to end; does not wait for the calls they make.
  void Follow();

 private:
  Environments& environments_;
  Mutex mutex_;
  std::map<std::string, std::jthread> provers_ KMS_GUARDED_BY(mutex_);
  std::vector<std::jthread> ended_ KMS_GUARDED_BY(mutex_);  // joined at the end
  std::jthread sealer_;
};

}  // namespace kms::api
