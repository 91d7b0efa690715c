// SPDX-License-Identifier: Apache-2.0
// TokenKey: the secret under which tokens are hashed, batch tokens are sealed and entities are
// named.
#pragma once

#include <string>
#include <string_view>

#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/sealed_store.h"

namespace kms {

// Immutable. Thread rule: any thread.
class TokenKey {
 public:
  // Reads the key, or makes it when there is none; of several makers one wins.
  // Errors: store errors, kCorrupted.
  static Result<TokenKey> Load(SealedStore& sys);
  // Puts a fresh secret in the place of that of tokens, so that nobody is let in by one made
  // before; entities keep their names. Errors: store errors.
  static Status Replace(SealedStore& sys);
  // Both have 32 bytes. Errors: kInvalidArgument, kUnavailable (secret memory), kInternal.
  static Result<TokenKey> FromSecrets(ByteView of_tokens, ByteView of_entities);

  // HMAC-SHA-256 (RFC 2104) of the token: what it is stored and looked up by. No allocation.
  [[nodiscard]] Sha256Digest HashOf(std::string_view token) const;
  // A version 8 UUID (RFC 9562) that is the same for one alias of one auth mount for ever.
  [[nodiscard]] std::string EntityId(std::string_view mount_accessor, std::string_view alias) const;
  // What batch tokens are sealed under; 32 bytes.
  [[nodiscard]] ByteView batch_key() const { return batch_key_.View(); }

 private:
  TokenKey() = default;

  SecretBytes token_pads_;
  SecretBytes batch_key_;
  SecretBytes entity_pads_;
};

}  // namespace kms
