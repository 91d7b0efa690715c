// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key_type.h"

#include <algorithm>

namespace kms {

namespace {

constexpr KeyTypeTraits Symmetric(KeyType type, std::string_view name, AeadAlgorithm aead) {
  return {.type = type,
          .name = name,
          .aead = aead,
          .key_bytes = AeadKeyBytes(aead),
          .supports_encryption = true,
          .supports_decryption = true,
          .supports_signing = false,
          .supports_derivation = true};
}

constexpr KeyTypeTraits kTypes[] = {
    Symmetric(KeyType::kAes256Gcm96, "aes256-gcm96", AeadAlgorithm::kAes256Gcm),
    Symmetric(KeyType::kAes128Gcm96, "aes128-gcm96", AeadAlgorithm::kAes128Gcm),
    Symmetric(KeyType::kChaCha20Poly1305, "chacha20-poly1305", AeadAlgorithm::kChaCha20Poly1305),
};

constexpr const KeyTypeTraits& Row(KeyType type) {
  switch (type) {
    case KeyType::kAes256Gcm96: return kTypes[0];
    case KeyType::kAes128Gcm96: return kTypes[1];
    case KeyType::kChaCha20Poly1305: return kTypes[2];
  }
  return kTypes[0];
}

static_assert(std::ranges::all_of(kTypes,
                                  [](const KeyTypeTraits& row) { return &Row(row.type) == &row; }));

}  // namespace

std::span<const KeyTypeTraits> AllKeyTypes() { return kTypes; }

const KeyTypeTraits& TraitsOf(KeyType type) { return Row(type); }

std::optional<KeyType> FindKeyType(std::string_view name) {
  for (const KeyTypeTraits& row : kTypes) {
    if (row.name == name) {
      return row.type;
    }
  }
  return std::nullopt;
}

std::optional<KeyType> KeyTypeFromNumber(std::uint8_t number) {
  for (const KeyTypeTraits& row : kTypes) {
    if (static_cast<std::uint8_t>(row.type) == number) {
      return row.type;
    }
  }
  return std::nullopt;
}

}  // namespace kms
