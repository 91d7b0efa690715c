// SPDX-License-Identifier: Apache-2.0
// TokenParameters: the token_* settings that every role and user of an auth method shares
// (transit-api 10.3). LoginGrant: what a successful login earns. LoginOrigin: where it came from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/cidr.h"
#include "kms/auth/principal.h"
#include "kms/base/digest.h"

namespace kms {

// "default": service. Plain value.
enum class GrantedTokenType : std::uint8_t { kDefault, kService, kBatch };

struct TokenParameters {
  std::vector<std::string> policies;  // canonical names, sorted, without "default"
  std::int64_t ttl_seconds = 0;       // 0: the mount's or the server's default
  std::int64_t max_ttl_seconds = 0;   // 0: the mount's or the server's maximum
  std::int64_t explicit_max_ttl_seconds = 0;
  std::int64_t period_seconds = 0;
  std::int64_t num_uses = 0;  // 0: not limited
  bool no_default_policy = false;
  bool strictly_bind_ip = false;  // the token is good only from the address of the login
  std::vector<CidrBlock> bound_cidrs;
  GrantedTokenType type = GrantedTokenType::kDefault;
};

struct LoginGrant {
  TokenParameters parameters;
  std::string alias;         // who, within the mount; the entity is made of it
  std::string role;          // canonical; empty where the method has none
  std::string display_name;  // for example "approle" or "jwt-alice"
  std::map<std::string, std::string> metadata;
  // Binds the token to the client certificate of the login (SHA-256 of its DER).
  std::optional<Sha256Digest> bound_certificate;
};

// Views live as long as the request.
struct LoginOrigin {
  std::string_view address;  // of the client, after trusted proxies
  // DER of the certificates the client presented and proved to hold, leaf first; empty: none.
  const std::vector<std::vector<std::uint8_t>>* certificates = nullptr;
};

}  // namespace kms
