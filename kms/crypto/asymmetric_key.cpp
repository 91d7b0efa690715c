// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/asymmetric_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <array>

#include "kms/crypto/key_der.h"

namespace kms {

namespace {

using internal::EvpKey;

constexpr std::size_t kEd25519Bytes = 32;

// In the order of the enumeration.
constexpr std::array<std::size_t, 7> kRsaBits = {0, 0, 0, 0, 2048, 3072, 4096};
constexpr std::array<std::size_t, 7> kFieldBytes = {32, 48, 66, 0, 0, 0, 0};

EvpKey MakePair(AsymmetricAlgorithm algorithm) {
  const char* type = internal::EvpTypeName(algorithm);
  if (IsRsa(algorithm)) {
    return EvpKey(EVP_PKEY_Q_keygen(nullptr, nullptr, type, RsaBits(algorithm)));
  }
  return EvpKey(IsEcdsa(algorithm) ? EVP_PKEY_Q_keygen(nullptr, nullptr, type,
                                                       internal::EvpGroupName(algorithm))
                                   : EVP_PKEY_Q_keygen(nullptr, nullptr, type));
}

// EVP_PKEY_get_group_name gives OpenSSL's first name of the curve, not the one it was asked for.
bool HasGroup(AsymmetricAlgorithm algorithm, EVP_PKEY* key) {
  char name[32] = {};
  std::size_t size = 0;
  return EVP_PKEY_get_group_name(key, name, sizeof(name), &size) == 1 &&
         OBJ_txt2nid(name) == EC_curve_nist2nid(internal::EvpGroupName(algorithm));
}

bool IsOf(AsymmetricAlgorithm algorithm, EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_is_a(key, internal::EvpTypeName(algorithm)) != 1) {
    return false;
  }
  if (IsRsa(algorithm)) {
    return static_cast<std::size_t>(EVP_PKEY_get_bits(key)) == RsaBits(algorithm);
  }
  return !IsEcdsa(algorithm) || HasGroup(algorithm, key);
}

Error WithoutPrivateHalf() { return FailedPrecondition("this key has no private half"); }

}  // namespace

std::size_t RsaBits(AsymmetricAlgorithm algorithm) {
  return kRsaBits[static_cast<std::size_t>(algorithm)];
}

std::size_t EcdsaFieldBytes(AsymmetricAlgorithm algorithm) {
  return kFieldBytes[static_cast<std::size_t>(algorithm)];
}

Result<AsymmetricKey> AsymmetricKey::Generate(AsymmetricAlgorithm algorithm) {
  EvpKey key = MakePair(algorithm);
  if (key == nullptr) {
    ERR_clear_error();
    return Internal("key generation failed");
  }
  return AsymmetricKey(algorithm, std::move(key), true);
}

Result<AsymmetricKey> AsymmetricKey::FromPkcs8(AsymmetricAlgorithm algorithm, ByteView pkcs8) {
  return AsymmetricKey(algorithm, KMS_TRY(internal::DecodePkcs8(algorithm, pkcs8)), true);
}

Result<AsymmetricKey> AsymmetricKey::FromPublicKey(AsymmetricAlgorithm algorithm, ByteView spki) {
  return AsymmetricKey(algorithm, KMS_TRY(internal::DecodeSpki(algorithm, spki)), false);
}

Result<AsymmetricKey> AsymmetricKey::FromEd25519Seed(ByteView seed) {
  return AsymmetricKey(AsymmetricAlgorithm::kEd25519, KMS_TRY(internal::DecodeEd25519Seed(seed)),
                       true);
}

Result<AsymmetricKey> AsymmetricKey::Adopt(AsymmetricAlgorithm algorithm,
                                           std::shared_ptr<evp_pkey_st> key, bool has_private) {
  const bool fits = IsOf(algorithm, key.get());
  ERR_clear_error();
  if (!fits) {
    return InvalidArgument("this is not one key of the expected type");
  }
  return AsymmetricKey(algorithm, std::move(key), has_private);
}

Result<SecretBytes> AsymmetricKey::ToPkcs8() const {
  return has_private_ ? internal::EncodePkcs8(algorithm_, native()) : WithoutPrivateHalf();
}

Result<Bytes> AsymmetricKey::PublicKey() const {
  return internal::EncodeSpki(algorithm_, native());
}

Result<Bytes> AsymmetricKey::Ed25519PublicKey() const {
  if (algorithm_ != AsymmetricAlgorithm::kEd25519) {
    return FailedPrecondition("this is no Ed25519 key");
  }
  const Bytes spki = KMS_TRY(PublicKey());
  return CopyOf(ByteView(spki).last(kEd25519Bytes));
}

Result<SecretBytes> AsymmetricKey::Ed25519Seed() const {
  if (algorithm_ != AsymmetricAlgorithm::kEd25519) {
    return FailedPrecondition("this is no Ed25519 key");
  }
  const SecretBytes pkcs8 = KMS_TRY(ToPkcs8());
  return SecretBytes::CopyOf(pkcs8.View().last(kEd25519Bytes));
}

bool AsymmetricKey::SamePublicKey(const AsymmetricKey& other) const {
  const bool same = EVP_PKEY_eq(native(), other.native()) == 1;
  ERR_clear_error();
  return same;
}

}  // namespace kms
