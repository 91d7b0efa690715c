// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/decrypt.h"

#include "kms/base/base64.h"
#include "kms/keys/ciphertext.h"
#include "kms/operations/message_cipher.h"
#include "kms/operations/scratch.h"

namespace kms {

Result<KeyVersionNumber> Decrypt(const Key& key, const DecryptInput& input,
                                 PlaintextBuffer& plaintext) {
  plaintext.Wipe();
  const ParsedCiphertext parsed = KMS_TRY(ParseCiphertext(input.ciphertext));
  KMS_TRY(CheckCiphertextVersion(parsed, key.policy()));
  const ScratchBytes decoded(Base64DecodedBound(parsed.payload.size()));
  const std::size_t size = KMS_TRY(DecodeCiphertextPayload(parsed.payload, decoded.View()));
  const MessageCipher cipher = KMS_TRY(MessageCipher::Choose(key, parsed.version, input.context));
  if (size < kAeadNonceBytes) {
    return InvalidArgument("invalid ciphertext length");
  }
  const ByteView nonce = decoded.View().first(kAeadNonceBytes);
  const ByteView sealed = decoded.View().first(size).subspan(kAeadNonceBytes);
  const std::size_t message_bytes =
      sealed.size() < kAeadTagBytes ? 0 : sealed.size() - kAeadTagBytes;
  const Status opened =
      cipher.Open(nonce, input.associated_data, sealed, plaintext.Reset(message_bytes));
  if (!opened.has_value()) {
    plaintext.Wipe();
    return opened.error();
  }
  return parsed.version;
}

}  // namespace kms
