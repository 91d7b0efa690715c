// SPDX-License-Identifier: Apache-2.0
// The key pair that signs and verifies: a version's own, or the one of a caller's context.
#pragma once

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/keys/key.h"

namespace kms {

// The key pair of a version in the working set. For a derived Ed25519 key the seed of the pair is
// HKDF-SHA-256(input key = seed || public key, no salt, info = context) (transit-api 5.4); other
// keys ignore `context`. Any thread.
// Errors: kInvalidArgument "no such key version", a missing context (5.4), and for a derived key
// whose version has no private half to derive from; kUnavailable, kInternal.
Result<AsymmetricKey> ChooseSigningKey(const Key& key, KeyVersionNumber version, ByteView context);

}  // namespace kms
