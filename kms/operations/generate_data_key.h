// SPDX-License-Identifier: Apache-2.0
// A data key for the caller's own encryption, in clear and encrypted (transit-api 6.12).
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/keys/key.h"

namespace kms {

struct DataKeyInput {
  std::int64_t bits = 256;  // 128, 256 or 512
  ByteView associated_data;  // AEAD keys only
  std::int64_t key_version = 0;  // 0: the latest
  ByteView context = {};  // derived keys need it, others ignore it
  RsaEncryptionPadding padding = RsaEncryptionPadding::kOaep;  // RSA keys only
  bool verify = false;  // as EncryptInput::verify
};

// Errors: kInvalidArgument "invalid bit length".
Status CheckDataKeyBits(std::int64_t bits);

// Puts the raw data key into `plaintext`, appends its encryption to `ciphertext`, returns the
// version. Errors: as CheckDataKeyBits, those of Encrypt. Any thread.
Result<KeyVersionNumber> GenerateDataKey(const Key& key, const DataKeyInput& input,
                                         PlaintextBuffer& plaintext, std::string& ciphertext);

}  // namespace kms
