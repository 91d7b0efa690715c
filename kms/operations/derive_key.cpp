// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/derive_key.h"

#include <string>
#include <utility>

#include "kms/crypto/key_agreement.h"
#include "kms/operations/certifiable_key.h"
#include "kms/operations/import_key.h"
#include "kms/operations/resident_keys.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

// The bytes of an hmac key that is derived: what a key of that type has by default.
constexpr std::size_t kDerivedHmacBytes = 32;

Status CheckRequest(const DeriveKeyRequest& request) {
  if (request.algorithm != "ecdh") {
    return InvalidArgument("key derivation algorithm " +
                           std::string(request.algorithm.substr(0, 64)) + " not supported");
  }
  if (request.peer_public_key.empty()) {
    return InvalidArgument("peer public key not provided");
  }
  if (TraitsOf(request.type).is_asymmetric()) {
    return InvalidArgument("unknown key type " + std::string(TraitsOf(request.type).name));
  }
  return Ok();
}

Result<KeyHandle> FindBase(Environment& environment, std::string_view name) {
  const Result<KeyName> parsed = KeyName::Parse(name);
  KeyHandle base = parsed ? KMS_TRY(environment.FindKey(*parsed)) : nullptr;
  if (base == nullptr) {
    return InvalidArgument("specified base key not found");
  }
  KMS_TRY(CheckUsable(*base));
  const KeyTypeTraits& traits = TraitsOf(base->policy().type);
  if (!traits.supports_key_agreement) {
    return InvalidArgument("base key type " + std::string(traits.name) +
                           " does not support key agreement");
  }
  return base;
}

// The peer's point is checked before the token sees it.
Result<SecretBytes> AgreeInHsm(const Key& base, const KeyVersion& version,
                               std::string_view peer_pem, std::size_t size) {
  if (base.residence() == nullptr) {
    return Unavailable("the base key lives in an HSM, and none is connected");
  }
  const AsymmetricAlgorithm algorithm = base.FindAsymmetric(version.number)->algorithm();
  const AsymmetricKey peer = KMS_TRY(ParsePeerKey(algorithm, peer_pem));
  const Bytes public_key = KMS_TRY(peer.PublicKey());
  const SecretBytes shared_secret =
      KMS_TRY(base.residence()->Agree(*version.resident, public_key));
  return KeyFromSharedSecret(shared_secret, size);
}

Result<SecretBytes> AgreeWherever(const Key& base, const KeyVersion& version,
                                  std::string_view peer_pem, std::size_t size) {
  return version.resident.has_value()
             ? AgreeInHsm(base, version, peer_pem, size)
             : AgreeEcdh(*base.FindAsymmetric(version.number), peer_pem, size);
}

Error NamedKeyExists(const KeyName& name) {
  return MakeError(ErrorCode::kAlreadyExists, "key \"" + name.text() + "\" already exists");
}

}  // namespace

Result<KeyHandle> DeriveKey(Environment& environment, const KeyName& name,
                            const DeriveKeyRequest& request) {
  KMS_TRY(CheckRequest(request));
  const KeyHandle base = KMS_TRY(FindBase(environment, request.base_key_name));
  const KeyVersion* base_version = KMS_TRY(FindVersionOrLatest(*base, request.base_key_version));
  const KeyTypeTraits& traits = TraitsOf(request.type);
  const std::size_t size = traits.key_bytes == 0 ? kDerivedHmacBytes : traits.key_bytes;
  SecretBytes material =
      KMS_TRY(AgreeWherever(*base, *base_version, request.peer_public_key, size));
  KeyVersion version = KMS_TRY(
      KeyVersion::FromRawKey(request.type, 1, environment.clock().Now(), std::move(material)));
  Result<KeyHandle> stored = StoreImportedKey(
      environment, {.name = name.text(), .type = request.type}, std::move(version));
  if (!stored && stored.error().code == ErrorCode::kAlreadyExists) {
    return NamedKeyExists(name);
  }
  return stored;
}

}  // namespace kms
