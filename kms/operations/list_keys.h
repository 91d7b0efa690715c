// SPDX-License-Identifier: Apache-2.0
// List key names in bytewise order, a page at a time (transit-api 6.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Names greater than `after` (empty: from the start), at most `limit` (0: all).
// Errors: store errors.
Result<std::vector<std::string>> ListKeys(Environment& environment, std::string_view after,
                                          std::size_t limit);

}  // namespace kms
