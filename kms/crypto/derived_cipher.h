// SPDX-License-Identifier: Apache-2.0
// DerivedCipher: the AEAD that a derived key has for one context (transit-api 5.4, 5.5).
#pragma once

#include <cstdint>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/aead.h"

namespace kms {

enum class NonceChoice : std::uint8_t {
  kFresh,       // hedged random: never repeats
  kConvergent,  // a function of the message: equal messages give equal ciphertexts
};

// What a derived key answers when it is used without a context: the text of transit-api 5.4.
Error MissingContext();

//   keys = HKDF-SHA-256(input key = material, no salt, info = context)
//        = AEAD key (16 or 32) || nonce key (32) || nonce key for messages with AAD (32)
//          (the nonce keys only when convergent)
//
// Made for one call and wiped after it; the derivation costs less than a parse of the request.
// Thread rule: like a plain value.
class DerivedCipher {
 public:
  // `material` is the key version's. Errors: kInvalidArgument with the text of transit-api 5.4 when
  // `context` is empty; kUnavailable (secret memory), kInternal.
  static Result<DerivedCipher> Derive(AeadAlgorithm algorithm, NonceChoice nonces,
                                      ByteView material, ByteView context);

  // Writes nonce || ciphertext || tag to `out`. Errors: as Aead::Seal.
  Status Seal(ByteView associated_data, ByteView plaintext, MutableByteView out) const;

  // As Aead::Open; the nonce is the one that Seal wrote, however it was chosen.
  Status Open(ByteView nonce, ByteView associated_data, ByteView ciphertext_and_tag,
              MutableByteView out) const;

 private:
  DerivedCipher(AeadAlgorithm algorithm, NonceChoice nonces, SecretBytes keys)
      : algorithm_(algorithm), nonces_(nonces), keys_(std::move(keys)) {}

  [[nodiscard]] ByteView Key() const { return keys_.View().first(AeadKeyBytes(algorithm_)); }
  Status ChooseNonce(ByteView associated_data, ByteView plaintext, MutableByteView nonce) const;

  AeadAlgorithm algorithm_;
  NonceChoice nonces_;
  SecretBytes keys_;
};

}  // namespace kms
