// SPDX-License-Identifier: Apache-2.0
// How a JSON Web Token is judged, in this order: form and size, algorithm and key, signature, JSON,
// claims. The next step is not taken before the one before it was passed (RFC 8725).
#pragma once

#include <string_view>

#include "kms/auth/json_value.h"
#include "kms/auth/jws.h"
#include "kms/base/result.h"

namespace kms {

// The claims of a token whose signature is good: a JSON object, read strictly.
// Errors: kUnauthenticated "error validating token: …".
Result<JsonValue> ReadJwtClaims(const Jws& jws);

}  // namespace kms
