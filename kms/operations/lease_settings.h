// SPDX-License-Identifier: Apache-2.0
// How long an environment keeps its keys without a proof: its options "lease_interval" and
// "lease_grace", else what the service is configured with.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/operations/environment.h"
#include "kms/operations/environments.h"

namespace kms {

inline constexpr std::string_view kLeaseIntervalOption = "lease_interval";
inline constexpr std::string_view kLeaseGraceOption = "lease_grace";

struct LeaseSettings {
  std::chrono::milliseconds interval{0};
  std::chrono::milliseconds grace{0};  // kLeaseForever: as long as the process lives
};

// What holds for an environment with these settings; options that do not parse do not count.
LeaseSettings LeaseSettingsOf(const EnvironmentSettings& settings,
                              const EnvironmentsOptions& defaults);

// Judges one of the two options when it is set: a number with "ms", "s", "m", "h" or "d", or for
// the grace "forever". Errors: kInvalidArgument naming the option and what it may be.
Status CheckLeaseOption(std::string_view option, std::string_view value);

}  // namespace kms
