// SPDX-License-Identifier: Apache-2.0
// Make a named key from an EC key and another party's public key (transit-api 6.27).
#pragma once

#include <cstdint>
#include <string_view>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"
#include "kms/operations/environment.h"

namespace kms {

struct DeriveKeyRequest {
  std::string_view algorithm = "ecdh";
  std::string_view peer_public_key;  // PEM
  std::string_view base_key_name;
  std::int64_t base_key_version = 0;  // 0: the latest
  KeyType type = KeyType::kAes256Gcm96;
};

// Stores HKDF-SHA-256 of the shared secret as version 1 of a new key, which counts as imported.
// Any thread. Errors, kInvalidArgument: "key derivation algorithm X not supported", "peer public
// key not provided", "unknown key type T" (no AEAD or HMAC type), "specified base key not found",
// "no such key version", "key "N" already exists" (kAlreadyExists), those of AgreeEcdh and
// CheckUsable; of a base key in an HSM those of ResidentKeys, and it blocks; store errors. The new
// key is one in software, wherever the base key lives.
Result<KeyHandle> DeriveKey(Environment& environment, const KeyName& name,
                            const DeriveKeyRequest& request);

}  // namespace kms
