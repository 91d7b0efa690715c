// SPDX-License-Identifier: Apache-2.0
// Principal: who a request acts for. Immutable and shared; no secret in it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/cidr.h"
#include "kms/base/digest.h"

namespace kms {

class Acl;

enum class TokenType : std::uint8_t {
  kService,  // stored: can be renewed, revoked, looked up by accessor, have children
  kBatch,    // carries everything itself, sealed: cannot
};
constexpr std::string_view TokenTypeName(TokenType type) {
  return type == TokenType::kBatch ? "batch" : "service";
}

struct Principal {
  Sha256Digest id{};     // the keyed hash its token is known by; all zero for a batch token
  std::string accessor;  // names the token without being able to use it; empty for a batch token
  std::string display_name;
  std::vector<std::string> policies;  // sorted
  std::string path;                   // where the token was made, for example "auth/token/root"
  std::string role;                   // the role it was made through; empty: none
  std::map<std::string, std::string> metadata;
  TokenType type = TokenType::kService;

  // Who logged in: the same for every login of one alias of one auth mount, and for children of its
  // tokens. Empty when no login is behind the token.
  std::string entity_id;
  std::string alias_mount;  // accessor of the auth mount; empty like entity_id
  std::string alias_name;   // the user's, role's or subject's name there
  // Whose deed it is when two must agree: entity_id, or where there is none the accessor of the
  // topmost token that root made. Two principals of one actor never count as two.
  std::string actor;

  std::int64_t created_unix_seconds = 0;
  std::int64_t creation_ttl_seconds = 0;      // 0: never expires
  std::int64_t explicit_max_ttl_seconds = 0;  // 0: none
  std::int64_t period_seconds = 0;            // 0: not periodic
  std::int64_t expires_unix_seconds = 0;      // 0: never
  std::int64_t last_renewal_unix_seconds = 0;  // 0: never
  std::int64_t num_uses = 0;  // as granted; 0: not limited
  bool orphan = true;
  bool renewable = false;
  bool is_root = false;  // may do everything

  std::vector<CidrBlock> bound_cidrs;  // empty: from everywhere
  // SHA-256 of the client certificate (DER) that must be presented with it; nullopt: none.
  std::optional<Sha256Digest> bound_certificate;

  std::shared_ptr<const Acl> acl;  // what its policies allow; null when is_root
};

using PrincipalHandle = std::shared_ptr<const Principal>;

}  // namespace kms
