// SPDX-License-Identifier: Apache-2.0
// Approval gate: keeps a request for a second person where its environment demands one.
#pragma once

#include <optional>

#include "api/pipeline/call.h"
#include "api/pipeline/reply.h"
#include "kms/base/result.h"

namespace kms::api {

// The 202 that says what the request waits for, or nullopt: go on at once. Only for routes with an
// `approval`. Errors: kInvalidArgument (too large to keep), store errors.
Result<std::optional<Reply>> DemandApproval(Call& call);

}  // namespace kms::api
