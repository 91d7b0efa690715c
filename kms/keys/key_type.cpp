// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key_type.h"

#include <algorithm>

namespace kms {

namespace {

constexpr KeyTypeTraits Symmetric(KeyType type, std::string_view name, AeadAlgorithm aead) {
  return {.type = type,
          .name = name,
          .family = KeyFamily::kAead,
          .version_name = {},
          .aead = aead,
          .asymmetric = {},
          .key_bytes = AeadKeyBytes(aead),
          .supports_encryption = true,
          .supports_decryption = true,
          .supports_signing = false,
          .supports_derivation = true,
          .supports_convergent = true,
          .takes_associated_data = true,
          .supports_key_agreement = false};
}

constexpr KeyTypeTraits Asymmetric(KeyType type, std::string_view name, KeyFamily family,
                                   std::string_view version_name, AsymmetricAlgorithm algorithm) {
  return {.type = type,
          .name = name,
          .family = family,
          .version_name = version_name,
          .aead = {},
          .asymmetric = algorithm,
          .key_bytes = 0,
          .supports_encryption = family == KeyFamily::kRsa,
          .supports_decryption = family == KeyFamily::kRsa,
          .supports_signing = true,
          .supports_derivation = family == KeyFamily::kEd25519,
          .supports_convergent = false,
          .takes_associated_data = false,
          .supports_key_agreement = family == KeyFamily::kEcdsa};
}

constexpr KeyTypeTraits HmacOnly() {
  return {.type = KeyType::kHmac,
          .name = "hmac",
          .family = KeyFamily::kHmac,
          .version_name = {},
          .aead = {},
          .asymmetric = {},
          .key_bytes = 0,
          .supports_encryption = false,
          .supports_decryption = false,
          .supports_signing = false,
          .supports_derivation = false,
          .supports_convergent = false,
          .takes_associated_data = false,
          .supports_key_agreement = false};
}

using enum AsymmetricAlgorithm;

// A row's place is its stored number.
constexpr KeyTypeTraits kTypes[] = {
    Symmetric(KeyType::kAes256Gcm96, "aes256-gcm96", AeadAlgorithm::kAes256Gcm),
    Asymmetric(KeyType::kEcdsaP256, "ecdsa-p256", KeyFamily::kEcdsa, "P-256", kEcdsaP256),
    Asymmetric(KeyType::kEd25519, "ed25519", KeyFamily::kEd25519, "ed25519", kEd25519),
    Asymmetric(KeyType::kRsa2048, "rsa-2048", KeyFamily::kRsa, "rsa-2048", kRsa2048),
    Asymmetric(KeyType::kRsa4096, "rsa-4096", KeyFamily::kRsa, "rsa-4096", kRsa4096),
    Symmetric(KeyType::kChaCha20Poly1305, "chacha20-poly1305", AeadAlgorithm::kChaCha20Poly1305),
    Asymmetric(KeyType::kEcdsaP384, "ecdsa-p384", KeyFamily::kEcdsa, "P-384", kEcdsaP384),
    Asymmetric(KeyType::kEcdsaP521, "ecdsa-p521", KeyFamily::kEcdsa, "P-521", kEcdsaP521),
    Symmetric(KeyType::kAes128Gcm96, "aes128-gcm96", AeadAlgorithm::kAes128Gcm),
    Asymmetric(KeyType::kRsa3072, "rsa-3072", KeyFamily::kRsa, "rsa-3072", kRsa3072),
    HmacOnly(),
    Symmetric(KeyType::kXChaCha20Poly1305, "xchacha20-poly1305", AeadAlgorithm::kXChaCha20Poly1305),
};

constexpr std::size_t PlaceOf(KeyType type) { return static_cast<std::size_t>(type); }

static_assert(std::ranges::all_of(kTypes, [](const KeyTypeTraits& row) {
  return &kTypes[PlaceOf(row.type)] == &row;
}));

}  // namespace

std::span<const KeyTypeTraits> AllKeyTypes() { return kTypes; }

const KeyTypeTraits& TraitsOf(KeyType type) { return kTypes[PlaceOf(type)]; }

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
