// SPDX-License-Identifier: Apache-2.0
// Key types and what each can do: one table, read by everyone (transit-api 4.1).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kms/crypto/aead.h"

namespace kms {

// Stored numbers (those of the Transit backup format): do not change or reuse.
enum class KeyType : std::uint8_t {
  kAes256Gcm96 = 0,
  kChaCha20Poly1305 = 5,
  kAes128Gcm96 = 8,
};

struct KeyTypeTraits {
  KeyType type;
  std::string_view name;  // on the wire
  AeadAlgorithm aead;
  std::size_t key_bytes;
  bool supports_encryption;
  bool supports_decryption;
  bool supports_signing;
  bool supports_derivation;
};

std::span<const KeyTypeTraits> AllKeyTypes();
const KeyTypeTraits& TraitsOf(KeyType type);
// Exact match; nullopt when there is no such type.
std::optional<KeyType> FindKeyType(std::string_view name);
// For stored numbers; nullopt when unknown.
std::optional<KeyType> KeyTypeFromNumber(std::uint8_t number);

}  // namespace kms
