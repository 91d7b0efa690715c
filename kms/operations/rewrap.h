// SPDX-License-Identifier: Apache-2.0
// Rewrap: a caller's ciphertext to another version, the plaintext never leaving (transit-api 6.11).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/keys/key.h"

namespace kms {

struct RewrapInput {
  std::string_view ciphertext;
  ByteView associated_data;      // the same both ways; AEAD keys only
  std::int64_t key_version = 0;  // target; 0: the latest
  ByteView context = {};  // the same both ways; derived keys need it, others ignore it
  RsaEncryptionPadding decrypt_padding = RsaEncryptionPadding::kOaep;  // RSA keys only
  RsaEncryptionPadding encrypt_padding = RsaEncryptionPadding::kOaep;
  bool verify = false;  // as EncryptInput::verify
};

// Appends the new ciphertext string and returns its version. Always re-encrypts. Any thread.
// Errors: those of Decrypt and Encrypt.
Result<KeyVersionNumber> Rewrap(const Key& key, const RewrapInput& input, std::string& ciphertext);

}  // namespace kms
