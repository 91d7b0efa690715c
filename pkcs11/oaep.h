// SPDX-License-Identifier: Apache-2.0
// RSA public keys of a token in software: their DER form, and RSAES-OAEP encryption.
#pragma once

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms::pkcs11 {

// SubjectPublicKeyInfo from the big-endian numbers that a token reports. Errors: kInternal.
Result<Bytes> EncodeRsaPublicKey(ByteView modulus, ByteView exponent);

// RSAES-OAEP with SHA-256 for both digests and no label. Errors: kCorrupted for a bad key.
Result<Bytes> EncryptOaepSha256(ByteView public_key, ByteView plaintext);

}  // namespace kms::pkcs11
