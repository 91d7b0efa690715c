// SPDX-License-Identifier: Apache-2.0
// RSA encryption of callers' data (RFC 8017, 7.1 and 7.2; transit-api 5.3).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/hash.h"

namespace kms {

enum class RsaEncryptionPadding : std::uint8_t {
  kOaep,      // SHA-256 for hash and mask, empty label
  kPkcs1v15,  // only where an environment allows it
};

// Bytes of every ciphertext: 256, 384 or 512.
std::size_t RsaCiphertextBytes(AsymmetricAlgorithm algorithm);
std::size_t MaxRsaPlaintextBytes(AsymmetricAlgorithm algorithm, RsaEncryptionPadding padding);

// Writes RsaCiphertextBytes to `out`. Errors: kInvalidArgument "failed to RSA encrypt the
// plaintext: message too long for RSA key size"; kInternal. Any thread.
Status RsaEncrypt(const AsymmetricKey& key, RsaEncryptionPadding padding, ByteView plaintext,
                  MutableByteView out);

// Puts the plaintext into `plaintext`. Errors: kDecryptionFailed "failed to RSA decrypt the
// ciphertext: crypto/rsa: decryption error", one text for every cause (failures C10);
// kInvalidArgument "cannot decrypt ciphertext, key version does not have a private counterpart".
// Any thread.
Status RsaDecrypt(const AsymmetricKey& key, RsaEncryptionPadding padding, ByteView ciphertext,
                  PlaintextBuffer& plaintext);

// OAEP with `hash` for both hash and mask, as imports use it (transit-api 5.8). `secret` is at most
// the modulus less two hashes less two bytes. Errors: as above, with the texts "crypto/rsa: message
// too long for RSA key size" and "crypto/rsa: decryption error".
Result<Bytes> OaepEncrypt(const AsymmetricKey& key, HashAlgorithm hash, ByteView secret);
Result<SecretBytes> OaepDecrypt(const AsymmetricKey& key, HashAlgorithm hash, ByteView ciphertext);

}  // namespace kms
