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
  KMS_TRY(CheckDecrypts(key));
  const ParsedCiphertext parsed = KMS_TRY(ParseCiphertext(input.ciphertext));
  KMS_TRY(CheckCiphertextVersion(parsed, key.policy()));
  const ScratchBytes decoded(Base64DecodedBound(parsed.payload.size()));
  const std::size_t size = KMS_TRY(DecodeCiphertextPayload(parsed.payload, decoded.View()));
  const MessageBinding binding{.associated_data = input.associated_data,
                               .context = input.context,
                               .padding = input.padding};
  const MessageCipher cipher = KMS_TRY(MessageCipher::Choose(key, parsed.version, binding));
  if (const Status opened = cipher.Open(decoded.View().first(size), plaintext); !opened) {
    plaintext.Wipe();
    return opened.error();
  }
  return parsed.version;
}

}  // namespace kms
