// SPDX-License-Identifier: Apache-2.0
// What a resident key does in its token: sign, decrypt, encrypt, agree, and prove that it is the
// recorded one.
#pragma once

#include <optional>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/connection.h"
#include "pkcs11/resident_bindings.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

// One call's means. What may be refused for the caller's input has a session of its own.
struct ResidentUse {
  Connection& connection;
  Session& session;  // of the call: a failure that is the device's is recorded here
  const BoundResident& key;
};

// ---- resident_signature.cpp
// Errors: kInvalidArgument when neither the token nor the raw RSA operation does it; kUnavailable
// when the signature does not verify; as the session.
Result<Bytes> SignResident(const ResidentUse& use, const ResidentSignRequest& request);

// ---- resident_cipher.cpp
// Errors: kDecryptionFailed for whatever does not open while the key still opens its own;
// kInvalidArgument when the token does not do it; as the session.
Result<SecretBytes> DecryptRsaResident(const ResidentUse& use, std::optional<HashAlgorithm> hash,
                                       ByteView ciphertext);
// The nonce's length is the token's. Errors: as the session.
Result<ResidentCiphertext> EncryptGcm(Session& session, const BoundResident& key,
                                      ByteView plaintext, ByteView aad);
// Errors: as the session, which tokens make of a ciphertext that does not authenticate, too.
Result<SecretBytes> DecryptGcm(Session& session, const BoundResident& key,
                               const ResidentCiphertext& ciphertext, ByteView aad);
// Errors: kDecryptionFailed as above; as the session.
Result<SecretBytes> DecryptResident(const ResidentUse& use, const ResidentCiphertext& ciphertext,
                                    ByteView aad);

// ---- resident_agreement.cpp
// The shared secret, after a known answer. Errors: kInvalidArgument for a peer that is no point of
// the key's curve, and for a key or token that does not agree; kUnavailable for a wrong answer; as
// the session.
Result<SecretBytes> AgreeResident(const ResidentUse& use, ByteView peer_public_key);
// That an EC key which may derive does so, by known answer in sessions of its own. Errors:
// kInvalidArgument when the token does not do it; kUnavailable for a wrong answer; as the session,
// recorded in `call`.
Status ProveAgreement(CK_SLOT_ID slot, Session& call, const BoundResident& key);
// The same of keys of this type, with one of a session, which does not stay.
Status TryAgreement(CK_SLOT_ID slot, Session& call, ResidentKeyType type);
// Whether TryAgreement succeeds, tried until it does. Errors: as the session, recorded in `call`.
Result<bool> MakesAgreeingKeys(Connection& connection, Session& call, ResidentKeyType type);

// ---- resident_proof.cpp
// The recorded key, found by its id, judged and proven by a known answer, or as it was bound
// before. A key whose label is not of this service existed before. Errors: kNotFound;
// kFailedPrecondition for several or refused attributes; kCorrupted when it is not the recorded
// one; as the session.
Result<BoundResident> BindResident(Connection& connection, Session& session,
                                   const ResidentKeyRecord& record);
// A known answer of a key just found: fills nonce bytes and layout of an AES key, whose ciphertexts
// must besides not open when damaged. Errors: kInvalidArgument when the token does not do what the
// type is for; kUnavailable for a wrong answer; as the session.
Status ProveResident(Connection& connection, Session& session, BoundResident& key);

}  // namespace kms::pkcs11
