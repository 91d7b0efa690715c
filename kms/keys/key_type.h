// SPDX-License-Identifier: Apache-2.0
// Key types and what each can do: one table, read by everyone (transit-api 4.1).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kms/crypto/aead.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

// Stored numbers (those of the Transit backup format): do not change or reuse.
enum class KeyType : std::uint8_t {
  kAes256Gcm96 = 0,
  kEcdsaP256 = 1,
  kEd25519 = 2,
  kRsa2048 = 3,
  kRsa4096 = 4,
  kChaCha20Poly1305 = 5,
  kEcdsaP384 = 6,
  kEcdsaP521 = 7,
  kAes128Gcm96 = 8,
  kRsa3072 = 9,
  kHmac = 10,
  kXChaCha20Poly1305 = 11,
};

enum class KeyFamily : std::uint8_t { kAead, kHmac, kEcdsa, kEd25519, kRsa };

struct KeyTypeTraits {
  KeyType type;
  std::string_view name;  // on the wire
  KeyFamily family;
  std::string_view version_name;  // of a version with a public half, on the wire ("P-256")
  AeadAlgorithm aead;              // of kAead only
  AsymmetricAlgorithm asymmetric;  // of kEcdsa, kEd25519 and kRsa only
  std::size_t key_bytes;           // of kAead; 0: it varies
  bool supports_encryption;
  bool supports_decryption;
  bool supports_signing;
  bool supports_derivation;
  bool supports_convergent;
  bool takes_associated_data;
  bool supports_key_agreement;

  // Versions have a public half, and may have nothing else.
  [[nodiscard]] constexpr bool is_asymmetric() const {
    return family != KeyFamily::kAead && family != KeyFamily::kHmac;
  }
};

// Bytes of an hmac key (transit-api 4.1).
inline constexpr std::size_t kMinHmacKeySize = 32;
inline constexpr std::size_t kMaxHmacKeySize = 512;

std::span<const KeyTypeTraits> AllKeyTypes();
const KeyTypeTraits& TraitsOf(KeyType type);
// Exact match; nullopt when there is no such type.
std::optional<KeyType> FindKeyType(std::string_view name);
// For stored numbers; nullopt when unknown.
std::optional<KeyType> KeyTypeFromNumber(std::uint8_t number);

}  // namespace kms
