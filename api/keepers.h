// SPDX-License-Identifier: Apache-2.0
// Keepers: what the service does by itself beside answering, each on a thread of its own that ends
// with its keeper.
#pragma once

#include <thread>

#include "api/config/config.h"
#include "kms/identity/identity.h"
#include "kms/operations/environments.h"
#include "kms/tasks/scrub.h"

namespace kms::api {

// Rotates keys that are due. The first look comes early: a service that is restarted often must not
// put it off for ever.
class RotationKeeper {
 public:
  // `environments` must outlive it; as with the others.
  RotationKeeper(Environments& environments, Milliseconds interval);

 private:
  std::jthread thread_;
};

// Deletes what is over of tokens, secret IDs, wrapped answers and approvals.
class TidyKeeper {
 public:
  TidyKeeper(Identity& identity, Milliseconds interval);

 private:
  std::jthread thread_;
};

// Looks at everything that is stored before it is needed.
class ScrubKeeper {
 public:
  explicit ScrubKeeper(Scrub& scrub);

 private:
  std::jthread thread_;
};

}  // namespace kms::api
