// SPDX-License-Identifier: Apache-2.0
// AsymmetricKey: one EC, Ed25519 or RSA key, with or without its private half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

struct evp_pkey_st;

namespace kms {

enum class AsymmetricAlgorithm : std::uint8_t {
  kEcdsaP256,  // FIPS 186-5, curve secp256r1
  kEcdsaP384,
  kEcdsaP521,
  kEd25519,  // RFC 8032
  kRsa2048,  // RFC 8017, public exponent 65537 when made here
  kRsa3072,
  kRsa4096,
};

constexpr bool IsEcdsa(AsymmetricAlgorithm algorithm) {
  return algorithm <= AsymmetricAlgorithm::kEcdsaP521;
}
constexpr bool IsRsa(AsymmetricAlgorithm algorithm) {
  return algorithm >= AsymmetricAlgorithm::kRsa2048;
}
// 2048, 3072 or 4096; 0 for what is not RSA.
std::size_t RsaBits(AsymmetricAlgorithm algorithm);
// Bytes of a coordinate or scalar: 32, 48, 66; 0 for what is not an EC key.
std::size_t EcdsaFieldBytes(AsymmetricAlgorithm algorithm);

// Immutable and cheap to copy (copies share the key). Any number of threads may use one at once.
class AsymmetricKey {
 public:
  // A fresh pair. Errors: kInternal. RSA takes up to seconds.
  static Result<AsymmetricKey> Generate(AsymmetricAlgorithm algorithm);

  // From PrivateKeyInfo DER (RFC 5958; Ed25519: RFC 8410) or SubjectPublicKeyInfo DER as ToPkcs8
  // and public_key give them. Checks type, curve and size, not the soundness of the numbers: what
  // comes from a caller goes through kms/crypto/key_import.h.
  // Errors: kInvalidArgument for all but exactly one key of that algorithm; kUnavailable (memory).
  static Result<AsymmetricKey> FromPkcs8(AsymmetricAlgorithm algorithm, ByteView pkcs8);
  static Result<AsymmetricKey> FromPublicKey(AsymmetricAlgorithm algorithm, ByteView spki);
  // From the 32-byte seed of RFC 8032. Errors: kInvalidArgument (size), kUnavailable (memory).
  static Result<AsymmetricKey> FromEd25519Seed(ByteView seed);

  [[nodiscard]] AsymmetricAlgorithm algorithm() const { return algorithm_; }
  [[nodiscard]] bool has_private() const { return has_private_; }

  // PrivateKeyInfo DER. Errors: kFailedPrecondition (no private half), kUnavailable, kInternal.
  [[nodiscard]] Result<SecretBytes> ToPkcs8() const;
  // SubjectPublicKeyInfo DER. Errors: kInternal.
  [[nodiscard]] Result<Bytes> PublicKey() const;
  // The 32 bytes of RFC 8032. Errors: kFailedPrecondition when this is no Ed25519 key or, for the
  // seed, has no private half; kUnavailable, kInternal.
  [[nodiscard]] Result<Bytes> Ed25519PublicKey() const;
  [[nodiscard]] Result<SecretBytes> Ed25519Seed() const;

  // Whether both have the same public half; constant time is not needed, it is public.
  [[nodiscard]] bool SamePublicKey(const AsymmetricKey& other) const;

  // For kms/crypto only.
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }
  static Result<AsymmetricKey> Adopt(AsymmetricAlgorithm algorithm,
                                     std::shared_ptr<evp_pkey_st> key, bool has_private);

 private:
  AsymmetricKey(AsymmetricAlgorithm algorithm, std::shared_ptr<evp_pkey_st> key, bool has_private)
      : key_(std::move(key)), algorithm_(algorithm), has_private_(has_private) {}

  std::shared_ptr<evp_pkey_st> key_;
  AsymmetricAlgorithm algorithm_;
  bool has_private_;
};

}  // namespace kms
