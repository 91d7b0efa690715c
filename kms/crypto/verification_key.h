// SPDX-License-Identifier: Apache-2.0
// VerificationKey: the public half of somebody else's signing key, of any size that is still sound.
// Keys of this service are kms/crypto/asymmetric_key.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/hash.h"

struct evp_pkey_st;

namespace kms {

enum class VerificationScheme : std::uint8_t {
  kRsaPkcs1v15,  // RFC 8017, 8.2
  kRsaPss,       // RFC 8017, 8.1; MGF1 with the same hash, the salt as long as the hash
  kEcdsa,        // FIPS 186-5; the signature is r || s (RFC 7518, 3.4)
  kEd25519,      // RFC 8032; no hash
};

// RSA: 2048 bits are what is still sound (SP 800-131A), 8192 what a stranger may make us compute.
inline constexpr std::size_t kMinVerificationRsaBits = 2048;
inline constexpr std::size_t kMaxVerificationRsaBits = 8192;

// Immutable and cheap to copy (copies share the key). Any number of threads may use one at once.
// Errors of every maker: kInvalidArgument, the text being the reason alone, for what is no sound
// key (kms/crypto/key_import.h); kInternal.
class VerificationKey {
 public:
  // Big-endian numbers, leading zeros or not.
  static Result<VerificationKey> FromRsa(ByteView modulus, ByteView exponent);
  // Coordinates exactly as long as the field.
  static Result<VerificationKey> FromEc(AsymmetricAlgorithm curve, ByteView x, ByteView y);
  static Result<VerificationKey> FromEd25519(ByteView public_key);
  // SubjectPublicKeyInfo.
  static Result<VerificationKey> FromSpki(ByteView der);
  // The first PEM block: "PUBLIC KEY", "RSA PUBLIC KEY" or "CERTIFICATE", of which only the key is
  // taken; nothing else in the certificate is looked at.
  static Result<VerificationKey> FromPem(std::string_view pem);

  [[nodiscard]] bool is_rsa() const { return !other_.has_value(); }
  // The curve or Ed25519; nullopt for RSA.
  [[nodiscard]] std::optional<AsymmetricAlgorithm> algorithm() const {
    return other_ ? std::optional(other_->algorithm()) : std::nullopt;
  }

  // Whether `signature` is one of `message`. A scheme that is not of this key's kind, a signature
  // of another length and one with r or s outside of 1 to n - 1 are wrong, not errors. Errors:
  // kInternal.
  [[nodiscard]] Result<bool> Verify(VerificationScheme scheme, HashAlgorithm hash, ByteView message,
                                    ByteView signature) const;

 private:
  explicit VerificationKey(AsymmetricKey key) : other_(std::move(key)) {}
  explicit VerificationKey(std::shared_ptr<evp_pkey_st> rsa) : rsa_(std::move(rsa)) {}

  std::shared_ptr<evp_pkey_st> rsa_;
  std::optional<AsymmetricKey> other_;
};

}  // namespace kms
