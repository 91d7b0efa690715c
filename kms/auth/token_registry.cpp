// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/token_registry.h"

#include <array>

#include "kms/base/bytes.h"

namespace kms {

namespace {

constexpr std::size_t kAccessorBytes = 12;

PrincipalHandle RootPrincipal(const RootToken& root) {
  return std::make_shared<const Principal>(Principal{
      .accessor = TokenAccessor(root.digest),
      .display_name = "root",
      .policies = {"root"},
      .path = "auth/token/root",
      .created_unix_seconds = root.created_unix_seconds,
      .is_root = true,
  });
}

}  // namespace

Sha256Digest TokenDigest(std::string_view token) {
  return Sha256({AsBytes("kms token v1\n"), AsBytes(token)});
}

std::string TokenAccessor(const Sha256Digest& digest) {
  const Sha256Digest accessor = Sha256({AsBytes("kms accessor v1\n"), digest});
  return HexEncode(ByteView{accessor}.first(kAccessorBytes));
}

TokenRegistry::TokenRegistry(const RootToken& root)
    : root_digest_(root.digest), root_(RootPrincipal(root)), revoked_(root.revoked) {}

Result<PrincipalHandle> TokenRegistry::Authenticate(std::string_view token) const {
  const Sha256Digest digest = TokenDigest(token);
  const bool known = EqualInConstantTime(digest, root_digest_);
  if (token.empty() || !known || revoked_.load(std::memory_order_acquire)) {
    return MakeError(ErrorCode::kPermissionDenied, "permission denied");
  }
  return root_;
}

}  // namespace kms
