// SPDX-License-Identifier: Apache-2.0
// Base64url without padding, RFC 4648 section 5, as JWS writes signatures (RFC 7515, 2).
#pragma once

#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

// Appends the encoding of `bytes` to `out`.
void AppendBase64Url(ByteView bytes, std::string& out);

// Accepts exactly the spelling AppendBase64Url produces: no padding, no line ends, no bits beyond
// the last byte. Errors: kInvalidArgument "illegal base64 data at input byte N". Not for secrets.
Result<Bytes> Base64UrlDecode(std::string_view text);

}  // namespace kms
