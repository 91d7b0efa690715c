// SPDX-License-Identifier: Apache-2.0
// The blob that carries a key into or out of the service (transit-api 5.8).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/hash.h"

namespace kms {

//   blob = RSA-OAEP(wrapping key, ephemeral AES-256 key)   as long as the modulus
//       || AES-KWP(ephemeral AES-256 key, target)          8 + target, padded to 8
//
// which is CKM_RSA_AES_KEY_WRAP of PKCS#11 3.0. The target is raw bytes of an AEAD or HMAC key, or
// a PrivateKeyInfo DER. The whole is not authenticated: whoever has the public key can make one.

// The names of `hash_function`: SHA1, SHA224, SHA256, SHA384, SHA512 in any case; nullopt for
// others
// ("unknown hash function: X" is the caller's to say).
std::optional<HashAlgorithm> FindImportHash(std::string_view name);

// A blob for whoever has the private half of `wrapping_key`, an RSA key of any size. `target` has 1
// to kMaxWrappableKeyBytes. Errors: kInvalidArgument (no RSA key, sizes); kUnavailable, kInternal.
Result<Bytes> SealImportBlob(const AsymmetricKey& wrapping_key, HashAlgorithm hash,
                             ByteView target);

// Views into the blob, which must outlive them.
struct ImportBlob {
  ByteView wrapped_ephemeral;
  ByteView wrapped_target;
};

// Opening comes in two halves, for the RSA half may live in an HSM: split, decrypt
// `wrapped_ephemeral` by OAEP there (or by OaepDecrypt), then open the target.
// Errors: kInvalidArgument "provided ciphertext is too short".
Result<ImportBlob> SplitImportBlob(ByteView blob, std::size_t modulus_bytes);

// Errors: kInvalidArgument "expected ephemeral AES key to be 256-bit"; as UnwrapKeyPadded.
Result<SecretBytes> OpenImportTarget(const SecretBytes& ephemeral, ByteView wrapped_target);

}  // namespace kms
