// SPDX-License-Identifier: Apache-2.0
// MessageCipher: what seals and opens one message under one key version.
#pragma once

#include <optional>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/derived_cipher.h"
#include "kms/keys/key.h"

namespace kms {

// The prepared cipher of the version, or for a derived key the cipher of the caller's context.
// Thread rule: like a plain value. The key must outlive it.
class MessageCipher {
 public:
  // `context` is the caller's, decoded; keys that are not derived ignore it.
  // Errors: kInvalidArgument "no such key version" and as DerivedCipher::Derive.
  static Result<MessageCipher> Choose(const Key& key, KeyVersionNumber version, ByteView context);

  // Writes nonce || ciphertext || tag (transit-api 5.2) to `payload`, which has room for exactly
  // that.
  Status Seal(ByteView associated_data, ByteView plaintext, MutableByteView payload) const;

  // Errors: as Aead::Open.
  Status Open(ByteView nonce, ByteView associated_data, ByteView ciphertext_and_tag,
              MutableByteView out) const;

 private:
  explicit MessageCipher(const Aead& prepared) : prepared_(&prepared) {}
  explicit MessageCipher(DerivedCipher derived) : derived_(std::move(derived)) {}

  const Aead* prepared_ = nullptr;        // exactly one of the two
  std::optional<DerivedCipher> derived_;
};

}  // namespace kms
