// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/encrypt.h"

#include "kms/keys/ciphertext.h"
#include "kms/operations/message_cipher.h"
#include "kms/operations/scratch.h"
#include "kms/operations/usage.h"
#include "kms/operations/verify_encryption.h"

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

Status TakeUse(const Key& key, KeyVersionNumber version) {
  UsageCounter* counter = key.FindUsage(version);
  return counter == nullptr || counter->TryTake(1) ? Ok() : Status(UsageLeaseUsedUp());
}

Status SealTo(const MessageCipher& cipher, KeyVersionNumber version, ByteView plaintext,
              std::string& ciphertext) {
  const ScratchBytes payload(cipher.PayloadBytes(plaintext.size()));
  KMS_TRY(cipher.Seal(plaintext, payload.View()));
  AppendCiphertext(version, payload.View(), ciphertext);
  return Ok();
}

}  // namespace

Result<KeyVersionNumber> Encrypt(const Key& key, const EncryptInput& input,
                                 std::string& ciphertext) {
  KMS_TRY(CheckEncrypts(key));
  const KeyVersionNumber version = KMS_TRY(ChooseVersion(key.policy(), input.key_version));
  const MessageBinding binding{.associated_data = input.associated_data,
                               .context = input.context,
                               .padding = input.padding};
  const MessageCipher cipher = KMS_TRY(MessageCipher::Choose(key, version, binding));
  if (input.verify) {
    KMS_TRY(CheckVerifiable(key, version));
  }
  KMS_TRY(TakeUse(key, version));
  const std::size_t start = ciphertext.size();
  KMS_TRY(SealTo(cipher, version, input.plaintext, ciphertext));
  if (input.verify) {
    const std::string_view made = std::string_view(ciphertext).substr(start);
    if (const Status verified = VerifyEncryption(key, made, binding, input.plaintext); !verified) {
      ciphertext.resize(start);
      return verified.error();
    }
  }
  return version;
}

}  // namespace kms
