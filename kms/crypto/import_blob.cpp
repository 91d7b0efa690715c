// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/import_blob.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kms/base/random.h"
#include "kms/crypto/key_wrap.h"
#include "kms/crypto/rsa_encryption.h"

namespace kms {

namespace {

using enum HashAlgorithm;

constexpr std::size_t kEphemeralKeyBytes = 32;

constexpr std::array<std::pair<std::string_view, HashAlgorithm>, 5> kImportHashes = {{
    {"SHA1", kSha1},
    {"SHA224", kSha2_224},
    {"SHA256", kSha2_256},
    {"SHA384", kSha2_384},
    {"SHA512", kSha2_512},
}};

char UpperCase(char letter) {
  return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
}

bool IsInAnyCase(std::string_view text, std::string_view upper) {
  return std::ranges::equal(text, upper, {}, UpperCase);
}

}  // namespace

std::optional<HashAlgorithm> FindImportHash(std::string_view name) {
  const auto* found = std::ranges::find_if(
      kImportHashes, [name](const auto& row) { return IsInAnyCase(name, row.first); });
  return found == kImportHashes.end() ? std::nullopt : std::optional(found->second);
}

Result<Bytes> SealImportBlob(const AsymmetricKey& wrapping_key, HashAlgorithm hash,
                             ByteView target) {
  if (!IsRsa(wrapping_key.algorithm())) {
    return InvalidArgument("unsupported key type in use; must be a rsa key");
  }
  SecretBytes ephemeral = KMS_TRY(SecretBytes::OfSize(kEphemeralKeyBytes));
  FillRandom(ephemeral.MutableView());
  Bytes blob = KMS_TRY(OaepEncrypt(wrapping_key, hash, ephemeral.View()));
  const Bytes wrapped_target = KMS_TRY(WrapKeyPadded(ephemeral.View(), target));
  blob.insert(blob.end(), wrapped_target.begin(), wrapped_target.end());
  return blob;
}

Result<ImportBlob> SplitImportBlob(ByteView blob, std::size_t modulus_bytes) {
  if (blob.size() <= modulus_bytes) {
    return InvalidArgument("provided ciphertext is too short");
  }
  return ImportBlob{.wrapped_ephemeral = blob.first(modulus_bytes),
                    .wrapped_target = blob.subspan(modulus_bytes)};
}

Result<SecretBytes> OpenImportTarget(const SecretBytes& ephemeral, ByteView wrapped_target) {
  if (ephemeral.size() != kEphemeralKeyBytes) {
    return InvalidArgument("expected ephemeral AES key to be 256-bit");
  }
  return UnwrapKeyPadded(ephemeral.View(), wrapped_target);
}

}  // namespace kms
