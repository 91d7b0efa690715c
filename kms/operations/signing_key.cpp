// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/signing_key.h"

#include <algorithm>

#include "kms/crypto/derived_cipher.h"
#include "kms/crypto/hkdf.h"

namespace kms {

namespace {

constexpr std::size_t kSeedBytes = 32;

Result<SecretBytes> SeedAndPublicKey(const AsymmetricKey& pair) {
  const SecretBytes seed = KMS_TRY(pair.Ed25519Seed());
  const Bytes public_key = KMS_TRY(pair.Ed25519PublicKey());
  SecretBytes both = KMS_TRY(SecretBytes::OfSize(seed.size() + public_key.size()));
  const auto rest = std::ranges::copy(seed.View(), both.MutableView().begin()).out;
  std::ranges::copy(public_key, rest);
  return both;
}

Result<AsymmetricKey> Derive(const AsymmetricKey& pair, ByteView context) {
  if (context.empty()) {
    return MissingContext();
  }
  if (!pair.has_private()) {
    return InvalidArgument("key version does not have a private part to derive from");
  }
  const SecretBytes input_key = KMS_TRY(SeedAndPublicKey(pair));
  const SecretBytes seed = KMS_TRY(HkdfSha256(input_key.View(), {}, context, kSeedBytes));
  return AsymmetricKey::FromEd25519Seed(seed.View());
}

}  // namespace

Result<AsymmetricKey> ChooseSigningKey(const Key& key, KeyVersionNumber version,
                                       ByteView context) {
  const AsymmetricKey* pair = key.FindAsymmetric(version);
  if (pair == nullptr) {
    return InvalidArgument("no such key version");
  }
  return key.policy().derived ? Derive(*pair, context) : Result<AsymmetricKey>(*pair);
}

}  // namespace kms
