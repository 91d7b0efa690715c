// SPDX-License-Identifier: Apache-2.0
// TokenRegistry: says whose token was presented. Keeps digests only, never a token.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/auth/principal.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"

namespace kms {

// What is kept of the root token.
struct RootToken {
  Sha256Digest digest{};
  std::int64_t created_unix_seconds = 0;
  bool revoked = false;
};

// The digest a token is known by.
Sha256Digest TokenDigest(std::string_view token);

// The accessor of the token with this digest: stable, and useless to whoever wants the token.
std::string TokenAccessor(const Sha256Digest& digest);

// Thread rule: any thread.
class TokenRegistry {
 public:
  explicit TokenRegistry(const RootToken& root);

  // Hot path: one digest, one constant-time compare, no allocation when the token is good.
  // Errors: kPermissionDenied "permission denied" for a missing, unknown or revoked token alike.
  [[nodiscard]] Result<PrincipalHandle> Authenticate(std::string_view token) const;

  // The root token is refused from here on. Durability is the caller's: see
  // kms/operations/root_token.h, which persists first.
  void RevokeRoot() { revoked_.store(true, std::memory_order_release); }

  [[nodiscard]] const Sha256Digest& root_digest() const { return root_digest_; }

 private:
  const Sha256Digest root_digest_;
  const PrincipalHandle root_;
  std::atomic<bool> revoked_;
};

}  // namespace kms
