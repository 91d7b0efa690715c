// SPDX-License-Identifier: Apache-2.0
// Encrypt a caller's data under a key version (transit-api 5.2, 6.9). Hot path.
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

struct EncryptInput {
  ByteView plaintext;
  ByteView associated_data;
  std::int64_t key_version = 0;  // 0: the latest
  ByteView context = {};  // derived keys need it, others ignore it
};

// Appends the ciphertext string to `ciphertext` and returns the version used. Any thread.
// Errors, kInvalidArgument with the texts of transit-api 6.9: "requested version for encryption is
// negative", "... is higher than the latest key version", "... is less than the minimum encryption
// key version", "no such key version"; for a derived key without context, the text of 5.4.
Result<KeyVersionNumber> Encrypt(const Key& key, const EncryptInput& input,
                                 std::string& ciphertext);

}  // namespace kms
