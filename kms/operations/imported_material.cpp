// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/imported_material.h"

#include <string>
#include <utility>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/crypto/key_import.h"
#include "kms/operations/wrapping_key.h"

namespace kms {

namespace {

KeyLengths LengthsOf(const ImportTarget& target) {
  const KeyTypeTraits& traits = TraitsOf(target.type);
  if (traits.family != KeyFamily::kHmac) {
    return {.min_bytes = traits.key_bytes, .max_bytes = traits.key_bytes};
  }
  return target.hmac_bytes == 0
             ? KeyLengths{.min_bytes = kMinHmacKeySize, .max_bytes = kMaxHmacKeySize}
             : KeyLengths{.min_bytes = target.hmac_bytes, .max_bytes = target.hmac_bytes};
}

Result<SecretBytes> OpenBlob(Environment& environment, MasterKeyDevice& device,
                             const ImportSource& source) {
  const Bytes bytes = KMS_TRY(Base64Decode(*source.ciphertext));
  const ImportBlob blob = KMS_TRY(SplitImportBlob(bytes, kWrappingCiphertextBytes));
  const SecretBytes ephemeral = KMS_TRY(DecryptUnderWrappingKey(
      environment, device, *FindImportHash(source.hash_function), blob.wrapped_ephemeral));
  return OpenImportTarget(ephemeral, blob.wrapped_target);
}

Result<KeyVersion> ReadMaterial(ByteView material, const ImportTarget& target, WallTime now) {
  const KeyTypeTraits& traits = TraitsOf(target.type);
  if (traits.is_asymmetric()) {
    const AsymmetricKey pair = KMS_TRY(ImportPrivateKey(traits.asymmetric, material));
    return KeyVersion::FromAsymmetricKey(1, now, pair);
  }
  SecretBytes key = KMS_TRY(ImportSymmetricKey(traits.name, LengthsOf(target), material));
  return KeyVersion::FromRawKey(target.type, 1, now, std::move(key));
}

}  // namespace

Status CheckImportSource(const ImportSource& source, KeyType type) {
  if (source.ciphertext && source.public_key) {
    return InvalidArgument(
        "only one of the following fields, ciphertext and public_key, can be set");
  }
  if (!source.is_private() && !TraitsOf(type).is_asymmetric()) {
    return InvalidArgument("provided type does not support public_key import");
  }
  if (source.is_private() && !FindImportHash(source.hash_function)) {
    return InvalidArgument("unknown hash function: " +
                           std::string(source.hash_function.substr(0, 64)));
  }
  return Ok();
}

Result<KeyVersion> ReadImport(Environment& environment, MasterKeyDevice& device,
                              const ImportSource& source, const ImportTarget& target) {
  KMS_TRY(CheckImportSource(source, target.type));
  const WallTime now = environment.clock().Now();
  if (!source.is_private()) {
    const AsymmetricKey key =
        KMS_TRY(ImportPublicKey(TraitsOf(target.type).asymmetric, source.public_key.value_or("")));
    return KeyVersion::FromAsymmetricKey(1, now, key);
  }
  const SecretBytes material = KMS_TRY(OpenBlob(environment, device, source));
  return ReadMaterial(material.View(), target, now);
}

}  // namespace kms
