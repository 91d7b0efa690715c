// SPDX-License-Identifier: Apache-2.0
// Limit gate: where the pipeline asks kms/auth/limits.h, and what is answered to whom it refuses.
#pragma once

#include <string>
#include <string_view>

#include "api/pipeline/exchange.h"
#include "api/pipeline/options.h"
#include "kms/auth/rate_limits.h"

namespace kms::api {

// What limits a row of the table counts for.
RouteClass ClassOf(const Route& route);

// What whoever is refused by a rate limit reads.
std::string RateRefusalText(std::string_view path);

// Before anything is spent on the request, the look at its token included. False when it was
// refused: the exchange holds the answer then.
bool PassesAddressLimits(const Services& services, Exchange& exchange);
// Once it is known who it is.
bool PassesPrincipalLimits(const Services& services, Exchange& exchange);

// What a login came to, told to the guard against guessing.
void CountLogin(const Services& services, const Exchange& exchange);

}  // namespace kms::api
