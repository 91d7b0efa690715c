// SPDX-License-Identifier: Apache-2.0
// What a role demands of the claims of a token, and who the token then speaks of (RFC 7519,
// transit-api 10.4).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/json_value.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"

namespace kms {

enum class BoundClaimsType : std::uint8_t {
  kString,
  kGlob,  // '*' in an expected string stands for any characters, none included
};

// A role's conditions. Names of claims that begin with '/' are JSON pointers (RFC 6901), others the
// names of top-level claims; of `user_claim` only when `user_claim_is_pointer`.
struct JwtConditions {
  std::vector<std::string> bound_audiences;  // exact; one must be among the token's
  std::string bound_subject;                 // exact; empty: any
  // Claim → scalars of which one must equal the claim, or one of its items when it is a list; type
  // and value, so that "true" is not true.
  std::map<std::string, std::vector<JsonValue>> bound_claims;
  BoundClaimsType bound_claims_type = BoundClaimsType::kString;
  std::string user_claim;
  bool user_claim_is_pointer = false;
  std::string groups_claim;                           // empty: none
  std::map<std::string, std::string> claim_mappings;  // claim → name in the token's metadata
  // Seconds; 0: the default (60, 150, 150), below 0: none at all.
  std::int64_t clock_skew_leeway = 0;
  std::int64_t expiration_leeway = 0;
  std::int64_t not_before_leeway = 0;
};

inline constexpr std::int64_t kDefaultClockSkewSeconds = 60;
inline constexpr std::int64_t kDefaultLeewaySeconds = 150;
// The longest that a token is good after it was issued, whatever its `exp` says (U13).
inline constexpr std::int64_t kMaxJwtLifeSeconds = std::int64_t{400} * 86'400;

// Errors: kInvalidArgument: no user claim, a name of metadata that is reserved or used twice, a
// bound claim without values or with values that are no scalars, too many or too long ones, leeways
// out of range.
Status ValidateConditions(const JwtConditions& conditions);

// Views live as long as the call.
struct JwtExpectations {
  std::string_view issuer;                    // exact, empty: any
  const Sha256Digest* certificate = nullptr;  // of the client (SHA-256 of its DER); null: none
  std::int64_t now_unix_seconds = 0;
};

struct JwtSubject {
  std::string user;  // what `user_claim` says: no control characters, at most 512 bytes
  std::map<std::string, std::string> metadata;
  std::string issuer;                   // empty when the token has none
  std::optional<std::string> token_id;  // "jti"
  // When nobody takes the token any more, leeway included.
  std::int64_t unusable_from_unix_seconds = 0;
  bool bound_to_certificate = false;  // "cnf" named the client's certificate (RFC 8705, 3.1)
};

// Judges the claims of a token whose signature is good.
//   exp   Good before it. Missing: expiration_leeway after the later of iat and nbf. Never later
//         than kMaxJwtLifeSeconds after the later of iat and nbf.
//   nbf   Good from it. Missing: iat; and where that is missing too, not_before_leeway before exp.
//   iat   Not in the future. One of the three must be there; clock_skew_leeway is added to each.
//   aud   A string or a list of strings, not empty. A token that has it needs a role with
//   audiences,
//         a role with audiences needs a token that has it.
//   cnf   "x5t#S256" must be the client's certificate; other confirmations cannot be checked here
//         and are refused.
// Claims of a wrong type are refused, numbers that are no integers as well. Groups become the
// metadata "groups", as a JSON list. Errors: kUnauthenticated, with the texts of transit-api 10.4
// and never a value of the token.
Result<JwtSubject> CheckClaims(const JsonValue& claims, const JwtConditions& conditions,
                               const JwtExpectations& expectations);

}  // namespace kms
