// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/verify_encryption.h"

#include "kms/operations/decrypt.h"
#include "kms/operations/scratch.h"

namespace kms {

Status CheckVerifiable(const Key& key, KeyVersionNumber version) {
  const AsymmetricKey* pair = key.FindAsymmetric(version);
  if (pair == nullptr || pair->has_private() || key.policy().is_resident()) {
    return Ok();
  }
  return InvalidArgument(
      "this environment verifies what it encrypts (verify_encrypt), which the key version cannot: "
      "it has no private counterpart");
}

Status VerifyEncryption(const Key& key, std::string_view ciphertext, const MessageBinding& binding,
                        ByteView plaintext) {
  ScratchPlaintext opened(ScratchPlaintext::Use::kVerify);
  const DecryptInput input{.ciphertext = ciphertext,
                           .associated_data = binding.associated_data,
                           .context = binding.context,
                           .padding = binding.padding};
  if (const auto version = Decrypt(key, input, *opened); !version) {
    return Internal("verify_encrypt: a fresh ciphertext does not decrypt: " +
                    version.error().public_message);
  }
  if (!EqualInConstantTime((*opened).View(), plaintext)) {
    return Internal("verify_encrypt: a fresh ciphertext decrypts to something else");
  }
  return Ok();
}

}  // namespace kms
