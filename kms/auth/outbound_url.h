// SPDX-License-Identifier: Apache-2.0
// Which addresses the service fetches documents from: what an operator writes, or an identity
// provider names, must not make it speak to places that were never meant (SSRF).
#pragma once

#include <string>
#include <string_view>

#include "kms/auth/cidr.h"
#include "kms/base/result.h"

namespace kms {

struct OutboundUrl {
  std::string text;             // as it was given
  bool names_loopback = false;  // "localhost" or a literal loopback address
  bool is_https = false;
};

// At most 2,048 bytes of printable ASCII: "https://host[:port][/path][?query]", or "http://" to a
// loopback host; no user, no fragment. Errors: kInvalidArgument "invalid URL: …", without the URL.
Result<OutboundUrl> ParseOutboundUrl(std::string_view text);

// Whether a connection may be made to `address`, to which the host's name was resolved. Refused:
// unspecified (0.0.0.0/8, ::), link-local (169.254/16, where clouds hand out credentials;
// fe80::/10), multicast and broadcast; with `loopback_only` everything but loopback. Private
// networks are where identity providers usually live, and are allowed.
bool MayConnectTo(const IpAddress& address, bool loopback_only);

}  // namespace kms
