// SPDX-License-Identifier: Apache-2.0
// Keys that come from a caller: parsed strictly and checked for soundness (transit-api 5.8, 6.21).
#pragma once

#include <cstddef>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

// What these refuse is kInvalidArgument with one of these texts, "…" naming the reason:
//   error importing key: error parsing asymmetric key: …       not DER, not PKCS#8, or unsound
//   error importing key: error parsing public key: …           the same of a public key
//   error importing key: error parsing public key: not in PEM format
//   error importing key: invalid key type: expected T, got …
//   error importing key: invalid curve: expected P-256, got …
//   error importing key: invalid key size: expected N bytes, got M bytes
//   error importing key: invalid key size N bytes for key type T
// Other errors: kUnavailable (secret memory), kInternal.
//
// Sound (failures C14) means: RSA with an odd exponent 3 <= e < 2^31, an odd modulus that has no
// small factor, is no square and bears no ROCA fingerprint (CVE-2017-15361); with a private half
// also two prime factors of like size and not close to each other, whose product is the modulus,
// and matching exponents. EC: a point on the curve, not at infinity; a scalar 1 <= d < n whose
// point is the public half. Ed25519: a canonical point on the curve whose order is not small (RFC
// 8032).

// The name of the key type on the wire, for example "ecdsa-p256".
std::string_view KeyTypeName(AsymmetricAlgorithm algorithm);

// From exactly one PrivateKeyInfo (RFC 5958). Accepted besides the standard forms: Ed25519 as an EC
// key on curve 1.3.6.1.4.1.11591.15.1 or 1.3.101.110; RSA under the identifier of RSASSA-PSS.
// An RSA-4096 key takes 0.3 s (RSA-2048: 0.05 s), for its factors are tested as primes. Any thread.
Result<AsymmetricKey> ImportPrivateKey(AsymmetricAlgorithm algorithm, ByteView der);

// From the first PEM block, "PUBLIC KEY" with a SubjectPublicKeyInfo (RFC 5280). Any thread.
Result<AsymmetricKey> ImportPublicKey(AsymmetricAlgorithm algorithm, std::string_view pem);

// The same from the SubjectPublicKeyInfo DER itself.
Result<AsymmetricKey> ImportPublicKeyDer(AsymmetricAlgorithm algorithm, ByteView spki);

// Which lengths a symmetric key type takes, both ends included.
struct KeyLengths {
  std::size_t min_bytes;
  std::size_t max_bytes;
};

// A copy of `material`, the raw key of type `type_name` (as in the error's text). Refuses a wrong
// length and a key of zeros.
Result<SecretBytes> ImportSymmetricKey(std::string_view type_name, KeyLengths lengths,
                                       ByteView material);

}  // namespace kms
