// SPDX-License-Identifier: Apache-2.0
// What makes a message of XChaCha20-Poly1305 one of ChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
// Private to aead.cpp.
#pragma once

#include <array>
#include <cstdint>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms::internal {

// The key and nonce that one message is really sealed with; wiped when it goes. Thread rule: like a
// plain value.
class XChaChaMessage {
 public:
  // `key` has 32 bytes, `nonce` 24. Errors: kInternal.
  static Result<XChaChaMessage> Derive(ByteView key, ByteView nonce);

  XChaChaMessage(const XChaChaMessage&) = default;
  XChaChaMessage& operator=(const XChaChaMessage&) = default;
  ~XChaChaMessage();

  [[nodiscard]] ByteView key() const { return key_; }
  [[nodiscard]] ByteView nonce() const { return nonce_; }

 private:
  XChaChaMessage() = default;

  std::array<std::uint8_t, 32> key_{};
  std::array<std::uint8_t, 12> nonce_{};
};

}  // namespace kms::internal
