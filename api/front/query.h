// SPDX-License-Identifier: Apache-2.0
// Query parameters and form bodies: application/x-www-form-urlencoded, decoded strictly.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/base/result.h"

namespace kms::api {

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::size_t kMaxQueryParameters = 128;

// The parameters in the order sent, repeated names included; '+' is a blank, "a" means "a=".
// Errors: kInvalidArgument for a malformed escape, a NUL, or more than
// kMaxQueryParameters.
Result<QueryParameters> ParseQuery(std::string_view query);

// The first parameter called `name`; nullopt when absent or when `query` is malformed.
std::optional<std::string> QueryParameter(std::string_view query, std::string_view name);

}  // namespace kms::api
