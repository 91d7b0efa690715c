// SPDX-License-Identifier: Apache-2.0
// Which token of an environment's group its wrapping key is in.
#pragma once

#include <memory>

#include "kms/base/result.h"
#include "kms/master/guarded_device.h"
#include "kms/master/key_group.h"
#include "kms/operations/environment.h"
#include "kms/operations/environments.h"

namespace kms {

// The token that made the wrapping key; while there is none, the one that is to make it.
// Errors: kUnavailable when that one is not there, those of the store.
Result<std::shared_ptr<GuardedDevice>> FindWrappingKeyDevice(const Environments& environments,
                                                             Environment& environment);

// Whether the token that has these master keys made `key`.
bool IsOfSameToken(const MemberMaterial& member, const ImportKeyRecord& key);

}  // namespace kms
