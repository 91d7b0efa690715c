// SPDX-License-Identifier: Apache-2.0
// The wrapping key of an environment: the RSA-4096 key to which callers encrypt the key material
// that they import (transit-api 5.8, 6.20). It is made in the HSM and its private half never leaves
// it; where the token cannot do that, it is made here and sealed in the environment's store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/hash.h"
#include "kms/master/master_key_device.h"
#include "kms/operations/environment.h"

namespace kms {

// Bytes of a ciphertext under the wrapping key: what an import blob begins with.
inline constexpr std::size_t kWrappingCiphertextBytes = 512;

// SubjectPublicKeyInfo DER of the environment's wrapping key, made when there is none. Making it
// takes seconds; callers of one environment wait for each other meanwhile. An interrupted creation
// is taken up by the next call. Errors: kUnavailable (sealed, HSM away, being made by another
// caller: retry), kFailedPrecondition (an operator must act), kCorrupted, store errors.
// Any thread; blocks: not for the hot lane.
Result<Bytes> WrappingPublicKey(Environment& environment, MasterKeyDevice& device);

// Opens what was encrypted to it by RSA-OAEP with `hash` for hash and mask and no label.
// Errors: kInvalidArgument "crypto/rsa: decryption error" for whatever does not open, a missing
// wrapping key included; kInvalidArgument for a hash that the environment's HSM does not open, with
// the name of one that it does; else as above. Any thread; blocks.
Result<SecretBytes> DecryptUnderWrappingKey(Environment& environment, MasterKeyDevice& device,
                                            HashAlgorithm hash, ByteView ciphertext);

enum class WrappingKeyPlace : std::uint8_t { kHsm, kSealedStore };
// Where the private half is; nullopt while no wrapping key was asked for. Reads the store.
// Errors: as SealedStore::Get, kCorrupted.
Result<std::optional<WrappingKeyPlace>> FindWrappingKeyPlace(Environment& environment);

// What is recorded of the one in an HSM; nullopt while there is none there. Errors: as above.
Result<std::optional<ImportKeyRecord>> FindWrappingKeyRecord(Environment& environment);

// Forgets the wrapping key: the next caller that asks for it makes another one, and what was
// encrypted to this one does not open any more. Errors: kUnavailable while it is being made, as
// SealedStore::Commit.
Status ForgetWrappingKey(Environment& environment);

// The id that an environment's wrapping key has in the HSM. It follows from the environment's, so
// that an interrupted creation or deletion finds the object without any record of it.
Uuid WrappingKeyId(const Uuid& environment_id);
// And the label: "kms/prod/import".
std::string WrappingKeyLabel(std::string_view environment);

}  // namespace kms
