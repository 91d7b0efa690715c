// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/message_cipher.h"

#include "kms/crypto/nonce.h"

namespace kms {

Result<MessageCipher> MessageCipher::Choose(const Key& key, KeyVersionNumber version,
                                            ByteView context) {
  const KeyPolicy& policy = key.policy();
  if (const Aead* prepared = key.FindAead(version); prepared != nullptr) [[likely]] {
    return MessageCipher(*prepared);
  }
  const KeyVersion* found = key.FindVersion(version);
  if (found == nullptr || !policy.derived) {
    return InvalidArgument("no such key version");
  }
  const NonceChoice nonces =
      policy.convergent_encryption ? NonceChoice::kConvergent : NonceChoice::kFresh;
  return MessageCipher(KMS_TRY(DerivedCipher::Derive(TraitsOf(policy.type).aead, nonces,
                                                     found->material.View(), context)));
}

Status MessageCipher::Seal(ByteView associated_data, ByteView plaintext,
                           MutableByteView payload) const {
  if (derived_.has_value()) {
    return derived_->Seal(associated_data, plaintext, payload);
  }
  const MutableByteView nonce = payload.first(kAeadNonceBytes);
  FillHedgedNonce(nonce, plaintext, associated_data);
  return prepared_->Seal(nonce, associated_data, plaintext, payload.subspan(kAeadNonceBytes));
}

Status MessageCipher::Open(ByteView nonce, ByteView associated_data, ByteView ciphertext_and_tag,
                           MutableByteView out) const {
  return derived_.has_value()
             ? derived_->Open(nonce, associated_data, ciphertext_and_tag, out)
             : prepared_->Open(nonce, associated_data, ciphertext_and_tag, out);
}

}  // namespace kms
