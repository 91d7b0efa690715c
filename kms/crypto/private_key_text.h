// SPDX-License-Identifier: Apache-2.0
// Private keys as key files carry them, made into the one form that is imported: PKCS #8.
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// PrivateKeyInfo DER from the first private key of a PEM text: "PRIVATE KEY" (RFC 5958), "RSA
// PRIVATE KEY" (RFC 8017) or "EC PRIVATE KEY" (RFC 5915); blocks of other kinds are passed over.
// Whether the key is sound is not looked at. Everything stays in secret memory. Any thread.
// Errors: kInvalidArgument "no private key in PEM format", "the private key is encrypted; decrypt
// it first, for example with `openssl pkey`", and as PrivateKeyInfoFromDer; kUnavailable.
Result<SecretBytes> PrivateKeyInfoFromPem(std::string_view text);

// The same from the DER of any of the three. Errors: kInvalidArgument "not a private key in PKCS#8,
// PKCS#1 or SEC 1 form", "the EC private key does not name its curve"; kUnavailable.
Result<SecretBytes> PrivateKeyInfoFromDer(ByteView der);

// From the 32-byte seed of an Ed25519 key (RFC 8032), or the 64 bytes of seed and public key that
// other services export. Errors: kInvalidArgument (size, a public key of another seed);
// kUnavailable, kInternal.
Result<SecretBytes> PrivateKeyInfoFromEd25519(ByteView seed);

}  // namespace kms
