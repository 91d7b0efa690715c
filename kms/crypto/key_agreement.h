// SPDX-License-Identifier: Apache-2.0
// A symmetric key from two EC keys (transit-api 6.27).
#pragma once

#include <cstddef>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

// HKDF-SHA-256(Z, no salt, no info) to `out_bytes`, Z being the x coordinate of ECDH with cofactor
// (NIST SP 800-56A, 5.7.1.2). `peer_pem` is a SubjectPublicKeyInfo on the curve of `own`.
// Errors: kInvalidArgument "base key type T does not support key agreement" (not an EC key), "base
// key version does not have a private counterpart", "error parsing peer public key: …" (not PEM,
// another type or curve, no point of it), `out_bytes` of 0; kUnavailable, kInternal. Any thread.
Result<SecretBytes> AgreeEcdh(const AsymmetricKey& own, std::string_view peer_pem,
                              std::size_t out_bytes);

// The parts of AgreeEcdh, with its errors, for a key that agrees elsewhere: the peer's key, whose
// point was checked, and what is made of Z.
Result<AsymmetricKey> ParsePeerKey(AsymmetricAlgorithm own, std::string_view peer_pem);
Result<SecretBytes> KeyFromSharedSecret(const SecretBytes& shared_secret, std::size_t out_bytes);

namespace internal {

// Z itself, as long as the curve's field. For AgreeEcdh and for published vectors. Both keys are on
// one curve; `own` has its private half. Errors: kUnavailable, kInternal.
Result<SecretBytes> EcdhSharedSecret(const AsymmetricKey& own, const AsymmetricKey& peer);

}  // namespace internal

}  // namespace kms
