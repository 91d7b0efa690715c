// SPDX-License-Identifier: Apache-2.0
// Aead: one keyed AEAD cipher, prepared once and usable from every thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

enum class AeadAlgorithm : std::uint8_t {
  kAes256Gcm,          // NIST SP 800-38D
  kAes128Gcm,          // NIST SP 800-38D
  kChaCha20Poly1305,   // RFC 8439
  kXChaCha20Poly1305,  // draft-irtf-cfrg-xchacha-03
};

inline constexpr std::size_t kAeadNonceBytes = 12;  // of all but XChaCha20-Poly1305
inline constexpr std::size_t kMaxAeadNonceBytes = 24;
inline constexpr std::size_t kAeadTagBytes = 16;

constexpr std::size_t AeadKeyBytes(AeadAlgorithm algorithm) {
  return algorithm == AeadAlgorithm::kAes128Gcm ? 16 : 32;
}
constexpr std::size_t AeadNonceBytes(AeadAlgorithm algorithm) {
  return algorithm == AeadAlgorithm::kXChaCha20Poly1305 ? kMaxAeadNonceBytes : kAeadNonceBytes;
}

// Immutable after Create; Seal and Open may run in any number of threads at once. The key schedule
// is copied into a context that each thread keeps (no allocation per call) and is wiped when the
// Aead is destroyed; ForgetThreadContexts wipes the calling thread's copies. XChaCha20-Poly1305 has
// another key for each nonce, so of it only the key is kept.
class Aead {
 public:
  // `key` has AeadKeyBytes(algorithm) bytes. Errors: kInvalidArgument (length), kUnavailable
  // (secret memory), kInternal.
  static Result<Aead> Create(AeadAlgorithm algorithm, ByteView key);

  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) noexcept;
  ~Aead();

  [[nodiscard]] AeadAlgorithm algorithm() const;

  // Writes ciphertext || tag to `out` (plaintext.size() + kAeadTagBytes bytes). The caller never
  // repeats a nonce (AeadNonceBytes(algorithm) bytes) under one key. Errors: kInvalidArgument
  // (sizes), kInternal.
  Status Seal(ByteView nonce, ByteView associated_data, ByteView plaintext,
              MutableByteView out) const;

  // Writes the plaintext to `out` (ciphertext_and_tag.size() - kAeadTagBytes bytes).
  // Errors: kDecryptionFailed with one text for every cause; `out` is wiped then.
  Status Open(ByteView nonce, ByteView associated_data, ByteView ciphertext_and_tag,
              MutableByteView out) const;

  // Seal and Open under a key that serves one call: nothing is prepared, kept or shared with other
  // threads. `key` has AeadKeyBytes(algorithm) bytes. Errors: as Create, and as Seal or Open.
  static Status SealOnce(AeadAlgorithm algorithm, ByteView key, ByteView nonce,
                         ByteView associated_data, ByteView plaintext, MutableByteView out);
  static Status OpenOnce(AeadAlgorithm algorithm, ByteView key, ByteView nonce,
                         ByteView associated_data, ByteView ciphertext_and_tag,
                         MutableByteView out);

  // Wipes the calling thread's copies of key schedules. Loops call it when idle, so that a sealed
  // or trimmed key does not outlive its bound in a context.
  static void ForgetThreadContexts();

 private:
  struct State;
  explicit Aead(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace kms
