// SPDX-License-Identifier: Apache-2.0
// A batch token, format 1:
//
//   "hvb." base64url( 1 | salt(32) | ciphertext of a token record | tag(16) )
//
//   subkey(32) | nonce(12) = HKDF-SHA-256(batch key, salt, "kms batch token v1"): with a fresh salt
//   for each token, so that no count of tokens wears the key out (NIST SP 800-38D, 8.3)
//   AAD = the format and the salt; AES-256-GCM
#include "kms/identity/batch_token.h"

#include <openssl/crypto.h>

#include <string>
#include <utility>

#include "kms/base/base64url.h"
#include "kms/base/random.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/hkdf.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kSaltBytes = 32;
constexpr std::size_t kHeadBytes = 1 + kSaltBytes;
constexpr std::size_t kKeyBytes = 32;
constexpr AeadAlgorithm kAlgorithm = AeadAlgorithm::kAes256Gcm;

Result<SecretBytes> KeyAndNonce(const TokenKey& key, ByteView salt) {
  return HkdfSha256(key.batch_key(), salt, AsBytes("kms batch token v1"),
                    kKeyBytes + kAeadNonceBytes);
}

}  // namespace

Result<SecretBytes> SealBatchToken(const TokenKey& key, const StoredToken& token) {
  const SecretBytes record = KMS_TRY(EncodeToken(token));
  Bytes sealed(kHeadBytes + record.size() + kAeadTagBytes);
  sealed[0] = kFormat;
  const MutableByteView head = MutableByteView(sealed).first(kHeadBytes);
  FillRandom(head.subspan(1));
  const SecretBytes secret = KMS_TRY(KeyAndNonce(key, head.subspan(1)));
  KMS_TRY(Aead::SealOnce(kAlgorithm, secret.View().first(kKeyBytes),
                         secret.View().subspan(kKeyBytes), head, record.View(),
                         MutableByteView(sealed).subspan(kHeadBytes)));
  std::string text(kBatchTokenPrefix);
  AppendBase64Url(sealed, text);
  OPENSSL_cleanse(sealed.data(), sealed.size());
  Result<SecretBytes> out = SecretBytes::CopyOf(AsBytes(text));
  OPENSSL_cleanse(text.data(), text.size());
  return out;
}

Result<std::optional<StoredToken>> OpenBatchToken(const TokenKey& key, std::string_view token) {
  if (!token.starts_with(kBatchTokenPrefix)) {
    return std::optional<StoredToken>{};
  }
  const Result<Bytes> sealed = Base64UrlDecode(token.substr(kBatchTokenPrefix.size()));
  if (!sealed.has_value() || sealed->size() < kHeadBytes + kAeadTagBytes ||
      sealed->front() != kFormat) {
    return std::optional<StoredToken>{};
  }
  const ByteView head = ByteView(*sealed).first(kHeadBytes);
  const ByteView body = ByteView(*sealed).subspan(kHeadBytes);
  const SecretBytes secret = KMS_TRY(KeyAndNonce(key, head.subspan(1)));
  SecretBytes record = KMS_TRY(SecretBytes::OfSize(body.size() - kAeadTagBytes));
  const Status opened =
      Aead::OpenOnce(kAlgorithm, secret.View().first(kKeyBytes), secret.View().subspan(kKeyBytes),
                     head, body, record.MutableView());
  if (!opened.has_value()) {
    if (opened.error().code == ErrorCode::kDecryptionFailed) {
      return std::optional<StoredToken>{};
    }
    return opened.error();
  }
  return std::optional{KMS_TRY(DecodeToken(record.View(), Sha256Digest{}))};
}

}  // namespace kms
