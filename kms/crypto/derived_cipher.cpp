// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/derived_cipher.h"

#include <algorithm>
#include <array>

#include "kms/base/digest.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/hmac_sha256.h"
#include "kms/crypto/nonce.h"

namespace kms {

namespace {

constexpr std::size_t kNonceKeyBytes = 32;

std::array<std::uint8_t, 8> BigEndian(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t index = bytes.size(); index-- > 0; number >>= 8U) {
    bytes[index] = static_cast<std::uint8_t>(number);
  }
  return bytes;
}

}  // namespace

Error MissingContext() {
  return InvalidArgument(
      "missing 'context' for key derivation; the key was created using a derived key, which means "
      "additional, per-request information must be included in order to perform operations with "
      "the key");
}

Result<DerivedCipher> DerivedCipher::Derive(AeadAlgorithm algorithm, NonceChoice nonces,
                                            ByteView material, ByteView context) {
  if (context.empty()) {
    return MissingContext();
  }
  const std::size_t nonce_key_bytes = nonces == NonceChoice::kConvergent ? 2 * kNonceKeyBytes : 0;
  SecretBytes keys =
      KMS_TRY(HkdfSha256(material, {}, context, AeadKeyBytes(algorithm) + nonce_key_bytes));
  return DerivedCipher(algorithm, nonces, std::move(keys));
}

// Without associated data the nonce is what other servers compute. With it, it covers both: one
// nonce for two inputs of the tag gives the authentication key away (C13). The key differs as well,
// because a caller may send length || AAD || plaintext of such a message as a plaintext of its own.
Status DerivedCipher::ChooseNonce(ByteView associated_data, ByteView plaintext,
                                  MutableByteView nonce) const {
  if (nonces_ == NonceChoice::kFresh) {
    FillHedgedNonce(nonce, plaintext, associated_data);
    return Ok();
  }
  const ByteView nonce_keys = keys_.View().subspan(AeadKeyBytes(algorithm_));
  Sha256Digest digest{};
  if (associated_data.empty()) {
    HmacSha256 mac = KMS_TRY(HmacSha256::Create(nonce_keys.first(kNonceKeyBytes)));
    KMS_TRY(mac.Compute({plaintext}, digest));
  } else {
    HmacSha256 mac = KMS_TRY(HmacSha256::Create(nonce_keys.last(kNonceKeyBytes)));
    KMS_TRY(mac.Compute({BigEndian(associated_data.size()), associated_data, plaintext}, digest));
  }
  std::ranges::copy(ByteView{digest}.first(nonce.size()), nonce.begin());
  return Ok();
}

Status DerivedCipher::Seal(ByteView associated_data, ByteView plaintext,
                           MutableByteView out) const {
  const std::size_t nonce_bytes = AeadNonceBytes(algorithm_);
  if (out.size() != nonce_bytes + plaintext.size() + kAeadTagBytes) {
    return InvalidArgument("wrong size of nonce, message or output");
  }
  const MutableByteView nonce = out.first(nonce_bytes);
  KMS_TRY(ChooseNonce(associated_data, plaintext, nonce));
  return Aead::SealOnce(algorithm_, Key(), nonce, associated_data, plaintext,
                        out.subspan(nonce_bytes));
}

Status DerivedCipher::Open(ByteView nonce, ByteView associated_data, ByteView ciphertext_and_tag,
                           MutableByteView out) const {
  return Aead::OpenOnce(algorithm_, Key(), nonce, associated_data, ciphertext_and_tag, out);
}

}  // namespace kms
