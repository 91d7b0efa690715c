// SPDX-License-Identifier: Apache-2.0
// CheckUsable: a soft-deleted key is administered, not used (transit-api 6.8).
#pragma once

#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

// Errors: kInvalidArgument "refusing to use soft-deleted key".
inline Status CheckUsable(const KeyPolicy& policy) {
  if (policy.soft_deleted) {
    return InvalidArgument("refusing to use soft-deleted key");
  }
  return Ok();
}
inline Status CheckUsable(const Key& key) { return CheckUsable(key.policy()); }

}  // namespace kms
