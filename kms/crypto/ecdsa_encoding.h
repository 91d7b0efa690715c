// SPDX-License-Identifier: Apache-2.0
// The two encodings of an ECDSA signature: DER SEQUENCE { INTEGER r, INTEGER s } (RFC 3279, 2.2.3)
// and r || s (RFC 7518, 3.4; PKCS #11). Private to signature.cpp and to pkcs11.
#pragma once

#include <optional>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms::internal {

// `der` is one of our own signatures. Errors: kInternal.
Result<Bytes> EcdsaDerToJws(AsymmetricAlgorithm algorithm, ByteView der);

// nullopt when `jws` does not have the curve's size: such a signature is wrong, not malformed.
std::optional<Bytes> EcdsaJwsToDer(AsymmetricAlgorithm algorithm, ByteView jws);

// Errors: kInvalidArgument "supplied signature is invalid" and "supplied signature contains extra
// data", as the reference implementation tells them apart; stricter in that nothing may follow s
// within the sequence, since otherwise one signature would have many encodings.
Status CheckEcdsaDer(ByteView der);

}  // namespace kms::internal
