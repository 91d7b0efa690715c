// SPDX-License-Identifier: Apache-2.0
// Jws: a signed token in compact form (RFC 7515, 7518, 8037), taken apart strictly and not yet
// believed. Nothing here fetches, and nothing in a token's header chooses a key or an algorithm.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/hash.h"
#include "kms/crypto/verification_key.h"

namespace kms {

// A19: refused before anything is computed.
inline constexpr std::size_t kMaxJwtBytes = std::size_t{16} << 10U;

// Those with a key pair; "none" and HS256 to HS512 do not exist here (U10, U11).
enum class JwsAlgorithm : std::uint8_t {
  kRs256,
  kRs384,
  kRs512,
  kPs256,
  kPs384,
  kPs512,
  kEs256,
  kEs384,
  kEs512,
  kEdDsa,  // Ed25519 only
};

struct JwsAlgorithmTraits {
  std::string_view name;
  VerificationScheme scheme;
  HashAlgorithm hash;
  std::optional<AsymmetricAlgorithm> key;  // nullopt: RSA of any size
};

inline constexpr std::size_t kJwsAlgorithms = 10;
// In the order of the enumeration.
const std::array<JwsAlgorithmTraits, kJwsAlgorithms>& AllJwsAlgorithms();
const JwsAlgorithmTraits& TraitsOf(JwsAlgorithm algorithm);
// Exact match, case included.
std::optional<JwsAlgorithm> FindJwsAlgorithm(std::string_view name);

// Views live as long as the token's text.
struct Jws {
  JwsAlgorithm algorithm = JwsAlgorithm::kRs256;  // what the header claims; the key must agree
  std::optional<std::string> key_id;              // opaque: a name to compare, nothing more (U12)
  std::string_view signing_input;                 // the first two parts and the dot between
  std::string_view encoded_payload;
  Bytes signature;
};

// What is wrong with a token: kUnauthenticated "error validating token: …".
Error InvalidJwt(std::string_view why);

// Exactly three non-empty parts in canonical base64url; a header that is strict JSON
// (kms/auth/json_value.h). "jku", "x5u", "jwk", "x5c" and unknown members are ignored; "crit",
// "b64", "zip" and "enc" would change what was signed and are refused, as is a "typ" that names
// another kind of token than "JWT" or "at+jwt" (RFC 9068). Errors: kUnauthenticated.
Result<Jws> ParseJws(std::string_view token);

}  // namespace kms
