// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rewrap.h"

#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"
#include "kms/operations/scratch.h"

namespace kms {

Result<KeyVersionNumber> Rewrap(const Key& key, const RewrapInput& input, std::string& ciphertext) {
  ScratchPlaintext plaintext(ScratchPlaintext::Use::kRewrap);
  const DecryptInput source{.ciphertext = input.ciphertext,
                            .associated_data = input.associated_data,
                            .context = input.context,
                            .padding = input.decrypt_padding};
  KMS_TRY(Decrypt(key, source, *plaintext));
  const EncryptInput target{.plaintext = (*plaintext).View(),
                            .associated_data = input.associated_data,
                            .key_version = input.key_version,
                            .context = input.context,
                            .padding = input.encrypt_padding,
                            .verify = input.verify};
  return Encrypt(key, target, ciphertext);
}

}  // namespace kms
