// SPDX-License-Identifier: Apache-2.0
// Decrypt a caller's ciphertext (transit-api 5.1 to 5.3, 6.10). Hot path.
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/keys/key.h"

namespace kms {

struct DecryptInput {
  std::string_view ciphertext;
  ByteView associated_data;  // AEAD keys only
  ByteView context = {};  // derived keys need it, others ignore it
  RsaEncryptionPadding padding = RsaEncryptionPadding::kOaep;  // RSA keys only
};

// Puts the plaintext into `plaintext` and returns the version it was under: the one that the
// ciphertext names and no other (C12). Any thread.
// Errors: kInvalidArgument with the texts of transit-api 5.1 and 6.10 ("message decryption not
// supported for key type T", "invalid ciphertext: no prefix", …, "no such key version", "cannot
// decrypt ciphertext, key version does not have a private counterpart") and for a derived key
// without context that of 5.4; kDecryptionFailed "cipher: message authentication failed" (AES-GCM),
// "chacha20poly1305: message authentication failed" or "failed to RSA decrypt the ciphertext:
// crypto/rsa: decryption error" for every other cause.
Result<KeyVersionNumber> Decrypt(const Key& key, const DecryptInput& input,
                                 PlaintextBuffer& plaintext);

}  // namespace kms
