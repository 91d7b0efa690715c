// SPDX-License-Identifier: Apache-2.0
// Decrypt a caller's ciphertext (transit-api 5.1, 5.2, 6.10). Hot path.
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/keys/key.h"

namespace kms {

struct DecryptInput {
  std::string_view ciphertext;
  ByteView associated_data;
  ByteView context = {};  // derived keys need it, others ignore it
};

// Puts the plaintext into `plaintext` and returns the version it was under. Any thread.
// Errors: kInvalidArgument with the texts of transit-api 5.1 and 6.10 ("invalid ciphertext: no
// prefix", …, "no such key version") and for a derived key without context that of 5.4; kDecryptionFailed "cipher: message authentication failed"
// (AES-GCM) or "chacha20poly1305: message authentication failed" for every other cause.
Result<KeyVersionNumber> Decrypt(const Key& key, const DecryptInput& input,
                                 PlaintextBuffer& plaintext);

}  // namespace kms
