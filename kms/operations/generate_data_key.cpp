// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/generate_data_key.h"

#include "kms/base/random.h"
#include "kms/operations/encrypt.h"

namespace kms {

Result<KeyVersionNumber> GenerateDataKey(const Key& key, const DataKeyInput& input,
                                         PlaintextBuffer& plaintext, std::string& ciphertext) {
  plaintext.Wipe();
  if (input.bits != 128 && input.bits != 256 && input.bits != 512) {
    return InvalidArgument("invalid bit length");
  }
  FillRandom(plaintext.Reset(static_cast<std::size_t>(input.bits) / 8));
  const EncryptInput target{.plaintext = plaintext.View(),
                            .associated_data = input.associated_data,
                            .key_version = input.key_version,
                            .context = input.context};
  const Result<KeyVersionNumber> version = Encrypt(key, target, ciphertext);
  if (!version.has_value()) {
    plaintext.Wipe();
  }
  return version;
}

}  // namespace kms
