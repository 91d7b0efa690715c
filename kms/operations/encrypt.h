// SPDX-License-Identifier: Apache-2.0
// Encrypt a caller's data under a key version (transit-api 5.2, 5.3, 6.9). Hot path.
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/keys/key.h"

namespace kms {

struct EncryptInput {
  ByteView plaintext;
  ByteView associated_data;  // AEAD keys only
  std::int64_t key_version = 0;  // 0: the latest
  ByteView context = {};  // derived keys need it, others ignore it
  RsaEncryptionPadding padding = RsaEncryptionPadding::kOaep;  // RSA keys only
  bool verify = false;  // decrypt the result again and compare before it is returned
};

// Appends the ciphertext string to `ciphertext` and returns the version used, of whose counter it
// takes one use. On an error nothing is appended. Any thread.
// Errors, kInvalidArgument with the texts of transit-api 6.9: "message encryption not supported for
// key type T", "requested version for encryption is negative", "... is higher than the latest key
// version", "... is less than the minimum encryption key version", "no such key version",
// "'associated_data' provided for non-AEAD cipher suite T"; for a derived key without context, the
// text of 5.4; those of RsaEncrypt; UsageLeaseUsedUp. With `verify` also those of VerifyEncryption.
Result<KeyVersionNumber> Encrypt(const Key& key, const EncryptInput& input,
                                 std::string& ciphertext);

}  // namespace kms
