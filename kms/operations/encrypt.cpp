// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/encrypt.h"

#include "kms/keys/ciphertext.h"
#include "kms/operations/message_cipher.h"
#include "kms/operations/scratch.h"

namespace kms {

namespace {

Result<KeyVersionNumber> ChooseVersion(const KeyPolicy& policy, std::int64_t requested) {
  if (requested == 0) {
    return policy.latest_version;
  }
  if (requested < 0) {
    return InvalidArgument("requested version for encryption is negative");
  }
  if (requested > std::int64_t{policy.latest_version}) {
    return InvalidArgument(
        "requested version for encryption is higher than the latest key version");
  }
  if (requested < std::int64_t{policy.min_encryption_version}) {
    return InvalidArgument(
        "requested version for encryption is less than the minimum encryption key version");
  }
  return static_cast<KeyVersionNumber>(requested);
}

}  // namespace

Result<KeyVersionNumber> Encrypt(const Key& key, const EncryptInput& input,
                                 std::string& ciphertext) {
  const KeyVersionNumber version = KMS_TRY(ChooseVersion(key.policy(), input.key_version));
  const MessageCipher cipher = KMS_TRY(MessageCipher::Choose(key, version, input.context));
  const ScratchBytes payload(kAeadNonceBytes + input.plaintext.size() + kAeadTagBytes);
  KMS_TRY(cipher.Seal(input.associated_data, input.plaintext, payload.View()));
  AppendCiphertext(version, payload.View(), ciphertext);
  return version;
}

}  // namespace kms
