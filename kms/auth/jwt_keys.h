// SPDX-License-Identifier: Apache-2.0
// JwtKeySet: the keys one issuer signs with (RFC 7517), and whether one of them signed a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/json_value.h"
#include "kms/auth/jws.h"
#include "kms/base/result.h"
#include "kms/crypto/verification_key.h"

namespace kms {

inline constexpr std::size_t kMaxJwksBytes = std::size_t{256} << 10U;
inline constexpr std::size_t kMaxJwksKeys = 64;
// A token without a key id is tried with every key of its algorithm, but not with more than these.
inline constexpr std::size_t kMaxKeysTried = 16;

struct JwtKey {
  VerificationKey key;
  std::optional<std::string> id;          // nullopt: good for tokens without a key id only
  std::optional<JwsAlgorithm> algorithm;  // the only one it is for; nullopt: any of its kind
};

enum class JwtSignature : std::uint8_t {
  kGood,
  kWrong,
  kUnknownKey,  // no key of that id, or none that fits: the issuer may have rotated
};

// Immutable. Thread rule: any thread.
class JwtKeySet {
 public:
  // A JWK Set. Keys that cannot verify a signature here are left out: symmetric ones, those for
  // encryption ("use", "key_ops", "alg"), unknown kinds and curves, unsound or too large numbers,
  // and those that have their private half published. Of two usable keys with one id neither could
  // be trusted to be meant: the whole set is refused.
  // Errors: kInvalidArgument "…", the text being the reason alone: malformed, too large, two keys
  // with one id, no usable key.
  static Result<std::shared_ptr<const JwtKeySet>> ParseJwks(std::string_view text);
  // One key of each PEM text; they have no ids and are tried for every token.
  // Errors: kInvalidArgument, the text being the reason alone; none or more than kMaxKeysTried.
  static Result<std::shared_ptr<const JwtKeySet>> FromPem(std::span<const std::string> pems);

  // Whether a key of this set, for exactly the algorithm that the token names, signed the token.
  // `allowed` empty: every algorithm. Errors: kUnauthenticated (algorithm not in `allowed`),
  // kInternal.
  [[nodiscard]] Result<JwtSignature> Verify(const Jws& jws,
                                            std::span<const JwsAlgorithm> allowed) const;

  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  JwtKeySet(std::vector<JwtKey> keys, bool ids_matter)
      : keys_(std::move(keys)), ids_matter_(ids_matter) {}
  [[nodiscard]] bool IsCandidate(const JwtKey& key, const Jws& jws) const;

  std::vector<JwtKey> keys_;
  bool ids_matter_;
};

using JwtKeySetHandle = std::shared_ptr<const JwtKeySet>;

}  // namespace kms
