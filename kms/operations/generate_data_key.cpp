// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/generate_data_key.h"

#include "kms/base/random.h"
#include "kms/operations/encrypt.h"

namespace kms {

Status CheckDataKeyBits(std::int64_t bits) {
  return bits == 128 || bits == 256 || bits == 512 ? Ok()
                                                   : Status(InvalidArgument("invalid bit length"));
}

Result<KeyVersionNumber> GenerateDataKey(const Key& key, const DataKeyInput& input,
                                         PlaintextBuffer& plaintext, std::string& ciphertext) {
  plaintext.Wipe();
  KMS_TRY(CheckDataKeyBits(input.bits));
  FillRandom(plaintext.Reset(static_cast<std::size_t>(input.bits) / 8));
  const EncryptInput target{.plaintext = plaintext.View(),
                            .associated_data = input.associated_data,
                            .key_version = input.key_version,
                            .context = input.context,
                            .padding = input.padding,
                            .verify = input.verify};
  const Result<KeyVersionNumber> version = Encrypt(key, target, ciphertext);
  if (!version.has_value()) {
    plaintext.Wipe();
  }
  return version;
}

}  // namespace kms
