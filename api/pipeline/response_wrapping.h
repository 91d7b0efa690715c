// SPDX-License-Identifier: Apache-2.0
// Response wrapping: an answer stays here, its reader gets a token that opens it once
// (transit-api 9.9).
#pragma once

#include <cstdint>

#include "api/pipeline/call.h"
#include "api/pipeline/reply.h"
#include "kms/base/result.h"
#include "kms/identity/wrapped_responses.h"

namespace kms::api {

// Puts a wrapping token in the place of what `reply` holds; replies without data or auth stay as
// they are. Errors: kInvalidArgument (too large, ttl_seconds too long), store errors: the answer
// does not leave unwrapped then.
Status WrapReply(Call& call, std::int64_t ttl_seconds, Reply& reply);

// The answer that hands out a wrapping token.
Reply ReplyWithWrapInfo(const WrapInfo& wrapped);

}  // namespace kms::api
