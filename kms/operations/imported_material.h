// SPDX-License-Identifier: Apache-2.0
// The material of an import: a blob under the environment's wrapping key, or a public key alone
// (transit-api 5.8, 6.21, 6.22).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/master/master_key_device.h"
#include "kms/operations/environment.h"

namespace kms {

struct ImportSource {
  std::optional<std::string_view> ciphertext;  // base64 of the blob
  std::optional<std::string_view> public_key;  // PEM
  std::string_view hash_function = "SHA256";   // of OAEP

  // Without a ciphertext it is a public key, if only an empty one.
  [[nodiscard]] bool is_private() const { return ciphertext.has_value(); }
};

// What it is to be read as.
struct ImportTarget {
  KeyType type = KeyType::kAes256Gcm96;
  std::size_t hmac_bytes = 0;  // that a key of type hmac must have; 0: any that one may have
};

// What can be said before the HSM is asked. Errors, kInvalidArgument: "only one of the following
// fields, ciphertext and public_key, can be set", "unknown hash function: X", "provided type does
// not support public_key import".
Status CheckImportSource(const ImportSource& source, KeyType type);

// Opens, parses and judges the material; the version's number is 1 and its time now. Asks the HSM:
// not under a lock. Errors: as CheckImportSource; kInvalidArgument "illegal base64 data at input
// byte N" and those of kms/crypto/import_blob.h and key_import.h; kDecryptionFailed; those of
// DecryptUnderWrappingKey.
Result<KeyVersion> ReadImport(Environment& environment, MasterKeyDevice& device,
                              const ImportSource& source, const ImportTarget& target);

}  // namespace kms
