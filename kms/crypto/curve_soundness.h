// SPDX-License-Identifier: Apache-2.0
// Whether the numbers of an EC or Ed25519 key make a key that protects anything (failures C14).
#pragma once

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/encoded_key.h"

namespace kms::internal {

// A key that passed; what the encoding left out is filled in.
struct SoundEcKey {
  Bytes point;         // uncompressed, SEC 1, 2.3.3
  SecretBytes scalar;  // as long as the field; empty in a public key
};
struct SoundEd25519Key {
  Bytes public_key;
  SecretBytes seed;  // empty in a public key
};

// The tests of kms/crypto/key_import.h. Errors: kInvalidArgument, the text being the reason alone;
// kUnavailable, kInternal. Any thread.
Result<SoundEcKey> CheckEcSoundness(AsymmetricAlgorithm curve, const EcNumbers& key);
Result<SoundEd25519Key> CheckEd25519Soundness(const Ed25519Numbers& key);

}  // namespace kms::internal
