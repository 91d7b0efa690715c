// SPDX-License-Identifier: Apache-2.0
// The address a request comes from, seen through the proxies that are configured as trusted (U20).
#pragma once

#include <span>
#include <string_view>

#include "api/front/http_message.h"
#include "kms/auth/cidr.h"
#include "kms/base/result.h"

namespace kms::api {

// The socket's address, unless that is one of `trusted_proxies`: then the right-most address of
// X-Forwarded-For that is not one. Several such headers are one list, in their order; what stands
// left of the answer was written by the client and is not read. A list of trusted addresses only
// gives its first; without the header the proxy itself is the client. Forwarded, X-Real-IP and all
// others say nothing. The view lives as long as the request. Allocates nothing without proxies.
// Errors: kInvalidArgument "malformed X-Forwarded-For header", when a trusted proxy sent one: whom
// to count the request against is not known, and the proxy must not pay for it. Any thread.
Result<std::string_view> ClientAddress(const HttpRequest& request,
                                       std::span<const CidrBlock> trusted_proxies);

}  // namespace kms::api
