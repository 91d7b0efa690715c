// SPDX-License-Identifier: Apache-2.0
// RSA public keys of a token in software: their DER form, and RSAES-OAEP around the raw operation.
#pragma once

#include <optional>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/hash.h"

namespace kms::pkcs11 {

// SubjectPublicKeyInfo from the big-endian numbers that a token reports. Errors: kInternal.
Result<Bytes> EncodeRsaPublicKey(ByteView modulus, ByteView exponent);

// RSAES-OAEP with `hash` for both digests and no label. Errors: kCorrupted for a bad key.
Result<Bytes> EncryptOaep(ByteView public_key, HashAlgorithm hash, ByteView plaintext);

// Takes off the padding of what the raw RSA operation gave (RFC 8017, 7.1.2 step 3), in a time that
// depends on its size alone; nullopt for whatever is wrong with it. `encoded` is as long as the
// modulus. Errors: kUnavailable when a secret finds no locked memory, kInternal.
Result<std::optional<SecretBytes>> RemoveOaep(HashAlgorithm hash, const SecretBytes& encoded);

}  // namespace kms::pkcs11
