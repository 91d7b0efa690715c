// SPDX-License-Identifier: Apache-2.0
// What is stored of a jwt mount: its configuration, its roles, and the tokens it has seen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kms/auth/jwt_claims.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// Exactly one of the four sources of keys is set.
struct JwtConfig {
  std::string oidc_discovery_url;     // also the issuer, unless bound_issuer says otherwise
  std::string oidc_discovery_ca_pem;  // empty: the system's authorities
  std::string jwks_url;
  std::string jwks_ca_pem;
  std::string jwks;  // ours: the text of a key set itself. A file would let an operator read files
  std::vector<std::string> jwt_validation_pubkeys;  // PEM
  std::string bound_issuer;
  std::string default_role;                     // canonical; empty: none
  std::vector<std::string> jwt_supported_algs;  // empty: all
};

struct JwtRole {
  JwtConditions conditions;
  TokenParameters parameters;
  bool bind_client_certificate = false;  // ours: the token is bound to the login's certificate
  bool forbid_replay = false;            // ours: a token logs in once; it needs a "jti"
};

// Errors of Encode: kUnavailable (secret memory). Of Decode: kCorrupted for anything Encode did not
// make.
Result<SecretBytes> EncodeJwtConfig(const JwtConfig& config);
Result<JwtConfig> DecodeJwtConfig(ByteView encoded);
Result<SecretBytes> EncodeJwtRole(const JwtRole& role);
Result<JwtRole> DecodeJwtRole(ByteView encoded);
// When a seen token may be forgotten.
Result<SecretBytes> EncodeSeenJwt(std::int64_t forget_unix_seconds);
Result<std::int64_t> DecodeSeenJwt(ByteView encoded);

}  // namespace kms
