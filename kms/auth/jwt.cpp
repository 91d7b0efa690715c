// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/jwt.h"

#include "kms/base/base64url.h"

namespace kms {

namespace {

constexpr JsonLimits kClaimLimits = {
    .max_bytes = kMaxJwtBytes, .max_depth = 16, .max_values = 2048};

}  // namespace

Result<JsonValue> ReadJwtClaims(const Jws& jws) {
  const Result<Bytes> text = Base64UrlDecode(jws.encoded_payload);
  if (!text.has_value()) {
    return InvalidJwt("it is malformed");
  }
  Result<JsonValue> claims = ParseStrictJson(AsText(*text), kClaimLimits);
  if (!claims.has_value()) {
    return InvalidJwt("its payload is malformed: " + claims.error().public_message);
  }
  if (!claims->IsObject()) {
    return InvalidJwt("its payload is malformed");
  }
  return claims;
}

}  // namespace kms
