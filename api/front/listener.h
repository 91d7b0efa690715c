// SPDX-License-Identifier: Apache-2.0
// Listener: the bound socket, and the rule that plain HTTP outside loopback is asked for by name.
#pragma once

#include <cstdint>

#include "api/front/front_options.h"
#include "kms/base/result.h"
#include "kms/base/unique_fd.h"

namespace kms::api {

struct Listener {
  UniqueFd socket;  // non-blocking
  std::uint16_t port = 0;
};

// Errors: kInvalidArgument for an address that is none; kFailedPrecondition for plain HTTP on an
// address that is not loopback, unless options.allow_plain_http; kUnavailable when the address is
// taken or not this machine's.
Result<Listener> Listen(const FrontOptions& options);

}  // namespace kms::api
