// SPDX-License-Identifier: Apache-2.0
// The options of an environment that set its lease: how they are written and what they may be.
#pragma once

#include <chrono>
#include <string_view>

#include "kms/base/result.h"

namespace kms {

inline constexpr std::string_view kLeaseIntervalOption = "lease_interval";
inline constexpr std::string_view kLeaseGraceOption = "lease_grace";
inline constexpr std::string_view kLeaseForeverText = "forever";

// "250ms", "5s", "10m", "1h", "30d"; a bare number is seconds. Errors: kInvalidArgument saying what
// it may be: an interval is 100 ms to a day, a grace 0 to 365 days.
Result<std::chrono::milliseconds> ParseLeaseInterval(std::string_view text);
// "forever" is milliseconds::max(), which is kLeaseForever.
Result<std::chrono::milliseconds> ParseLeaseGrace(std::string_view text);

}  // namespace kms
