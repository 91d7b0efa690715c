// SPDX-License-Identifier: Apache-2.0
// Keys as DER and as OpenSSL's objects. Private to asymmetric_key.cpp.
//
//   PrivateKeyInfo ::= SEQUENCE { INTEGER 0, AlgorithmIdentifier, OCTET STRING private } (RFC 5958)
//   SubjectPublicKeyInfo ::= SEQUENCE { AlgorithmIdentifier, BIT STRING public }         (RFC 5280)
//     EC       private: ECPrivateKey (RFC 5915)   public: 04 || x || y
//     Ed25519  private: OCTET STRING seed         public: the 32 bytes              (RFC 8410)
//     RSA      private: RSAPrivateKey             public: RSAPublicKey              (RFC 8017)
//
// By hand, because OpenSSL 3.0 looks for a decoder at every call (470 us; a load of a key decodes
// every version of it) and leaves unwiped copies of the private half in the heap.
#pragma once

#include <memory>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"

struct evp_pkey_st;

namespace kms::internal {

struct EvpKeyDeleter {
  void operator()(evp_pkey_st* key) const;
};
using EvpKey = std::unique_ptr<evp_pkey_st, EvpKeyDeleter>;

// What OpenSSL calls the key type and, for EC, the curve; empty for others.
const char* EvpTypeName(AsymmetricAlgorithm algorithm);
const char* EvpGroupName(AsymmetricAlgorithm algorithm);

// Errors: kInvalidArgument for anything else than one key of that algorithm; kUnavailable (secret
// memory).
Result<EvpKey> DecodePkcs8(AsymmetricAlgorithm algorithm, ByteView pkcs8);
Result<EvpKey> DecodeSpki(AsymmetricAlgorithm algorithm, ByteView spki);
Result<EvpKey> DecodeEd25519Seed(ByteView seed);

// Errors: kUnavailable (secret memory), kInternal.
Result<SecretBytes> EncodePkcs8(AsymmetricAlgorithm algorithm, evp_pkey_st* key);
// Errors: kInternal.
Result<Bytes> EncodeSpki(AsymmetricAlgorithm algorithm, evp_pkey_st* key);

}  // namespace kms::internal
