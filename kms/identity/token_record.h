// SPDX-License-Identifier: Apache-2.0
// StoredToken: what is kept of a token, in the store or sealed inside a batch token; and where.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kms/auth/principal.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// Names one token for ever: a hash alone may be used again by a token of a chosen id.
struct TokenReference {
  Sha256Digest id{};
  std::int64_t issued_stamp = 0;  // 0 for the configured root token
  friend bool operator==(const TokenReference&, const TokenReference&) = default;
};

struct StoredToken {
  Principal principal;                   // without acl
  std::optional<TokenReference> parent;  // what it dies with
  std::uint16_t generation = 0;          // how many ancestors it had when it was made
  std::int64_t issued_stamp = 0;         // see kms/identity/revoked_sources.h
  std::int64_t max_ttl_seconds = 0;      // renewals end that long after creation; 0: no such end
  std::int64_t uses_left = 0;            // of principal.num_uses
  // What the login said of the alias; children inherit it, their own metadata proves nothing.
  std::map<std::string, std::string> alias_metadata;
};

// Errors of Encode: kUnavailable (secret memory). Of Decode: kCorrupted for anything Encode did not
// make; `id` becomes the principal's.
Result<SecretBytes> EncodeToken(const StoredToken& token);
Result<StoredToken> DecodeToken(ByteView encoded, const Sha256Digest& id);

// True from the second on in which it ends.
bool IsExpired(const Principal& principal, std::int64_t now_unix_seconds);

inline constexpr std::string_view kTokensPrefix = "tokens/";
inline constexpr std::string_view kAccessorsPrefix = "accessors/";
inline constexpr std::string_view kChildrenPrefix = "children/";
std::string TokenPath(const Sha256Digest& id);
std::string AccessorPath(std::string_view accessor);
// With a trailing '/'.
std::string ChildrenOf(const Sha256Digest& parent);
std::string ChildPath(const Sha256Digest& parent, const Sha256Digest& child);
// The hash at the end of a path of tokens/ or children/; nullopt for "tokens/root".
std::optional<Sha256Digest> IdOfPath(std::string_view path);

// The entries accessors/<accessor>. Errors: as above.
Result<SecretBytes> EncodeAccessor(const Sha256Digest& token);
Result<Sha256Digest> DecodeAccessor(ByteView encoded);
// The entries children/<parent>/<child>: their path says everything.
Result<SecretBytes> EncodeChildLink();

}  // namespace kms
