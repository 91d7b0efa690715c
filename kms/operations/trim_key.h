// SPDX-License-Identifier: Apache-2.0
// Trim: destroy the versions below a minimum for good (transit-api 6.7).
#pragma once

#include <cstdint>
#include <optional>

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Errors: kInvalidArgument with the texts and order of transit-api 6.7; store errors.
Result<KeyHandle> TrimKey(Environment& environment, const KeyName& name,
                          std::optional<std::int64_t> min_available_version);

}  // namespace kms
