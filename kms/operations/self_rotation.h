// SPDX-License-Identifier: Apache-2.0
// A rotation that nobody asked for: because of the key's period or its usage limit. It is recorded
// like a request, before it acts and with its outcome.
#pragma once

#include <string_view>

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// How the records name whoever rotated.
inline constexpr std::string_view kPeriodRotation = "kmsd auto-rotation (period)";
inline constexpr std::string_view kUsageRotation = "kmsd auto-rotation (usage limit)";

// Rotates unless the key has a later version than `latest` already; returns the key either way.
// May block for seconds. Errors: as RotateKey; kUnavailable when it cannot be recorded: nothing is
// rotated when that is so of the attempt.
Result<KeyHandle> RotateBySelf(Environment& environment, const KeyName& name,
                               KeyVersionNumber latest, std::string_view who);

}  // namespace kms
