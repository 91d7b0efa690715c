// SPDX-License-Identifier: Apache-2.0
// The one table that turns an ErrorCode into an HTTP status and says what the client reads.
#pragma once

#include <chrono>
#include <string>

#include "api/front/http_message.h"
#include "kms/base/error.h"

namespace kms::api {

int HttpStatusOf(ErrorCode code);

// The text for the client: the public message, and for trouble on our side what to do next.
// Never the detail.
std::string PublicText(const Error& error);

// Fills `response` from `error`.
void WriteError(const Error& error, HttpResponse& response);

// Retry-After (RFC 9110, 10.2.3): whole seconds, at least one.
void AddRetryAfter(std::chrono::nanoseconds wait, HttpResponse& response);

// For whoever is over a limit: Retry-After, and a connection that is not read for a moment, since
// refusing at full pace would cost the others what the limit is to save.
void SlowDown(std::chrono::nanoseconds wait, HttpResponse& response);

// Whether the caller can mend it (batch items, transit-api 7.2).
bool IsUserError(ErrorCode code);

}  // namespace kms::api
