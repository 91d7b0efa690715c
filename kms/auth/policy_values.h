// SPDX-License-Identifier: Apache-2.0
// How policies spell values: durations, parameter values, globs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/auth/policy.h"

namespace kms::internal {

// "90", "15m", "1h30m", "30d" in seconds; nullopt for anything else, for a sign and for more than a
// hundred years.
std::optional<std::int64_t> DurationSeconds(std::string_view text);

// ASCII only; parameter names compare without regard to case.
std::string Lowered(std::string_view text);
bool EqualIgnoringCase(std::string_view a, std::string_view b);

// Adds `text` and what a request in canonical form (RequestParameter) would say instead of it: a
// duration in seconds, a boolean as true or false. `numeric_booleans`: 1 and 0 count as booleans
// too, which is right where more matches mean less access.
void AddSpellings(std::string_view text, bool numeric_booleans, ParameterValues& values);

}  // namespace kms::internal
