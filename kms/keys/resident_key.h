// SPDX-License-Identifier: Apache-2.0
// ResidentKeyRecord: what is stored of a key that lives in an HSM token and works there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/keys/key_type.h"

namespace kms {

// Our own numbers, stored: do not change or reuse.
enum class ResidentKeyType : std::uint8_t {
  kAes256Gcm = 1,
  kRsa2048 = 2,
  kRsa3072 = 3,
  kRsa4096 = 4,
  kEcdsaP256 = 5,
  kEcdsaP384 = 6,
  kEcdsaP521 = 7,
};
// As the key type is called on the wire, for example "ecdsa-p256".
std::string_view ResidentKeyTypeName(ResidentKeyType type);
// nullopt for kAes256Gcm.
std::optional<AsymmetricAlgorithm> AsymmetricAlgorithmOf(ResidentKeyType type);
KeyType KeyTypeOf(ResidentKeyType type);
// nullopt for a type that no token is asked for.
std::optional<ResidentKeyType> ResidentTypeOf(KeyType type);

// Bytes of the nonce that a token works with: ours, or a longer one that it makes itself.
inline constexpr std::size_t kMinResidentNonceBytes = 12;
inline constexpr std::size_t kMaxResidentNonceBytes = 16;

// What is stored of a key in a token.
struct ResidentKeyRecord {
  Bytes id;           // CKA_ID; 16 bytes for ours, 1..255 for one that existed before
  std::string label;  // CKA_LABEL, for people
  ResidentKeyType type = ResidentKeyType::kEcdsaP256;
  std::string token_label;       // a hint for people
  std::string token_serial;      // a hint for people
  Bytes public_key;              // SubjectPublicKeyInfo DER; empty for kAes256Gcm
  std::uint8_t nonce_bytes = 0;  // of kAes256Gcm: 12..16; else 0
  friend bool operator==(const ResidentKeyRecord&, const ResidentKeyRecord&) = default;
};

// Where one version of a key lives.
struct ResidentVersion {
  std::string hsm;        // the token's name in this service
  std::string reference;  // of an external key, as it was given: label or "id=<hex>"; else empty
  ResidentKeyRecord record;
  friend bool operator==(const ResidentVersion&, const ResidentVersion&) = default;
};

}  // namespace kms
