// SPDX-License-Identifier: Apache-2.0
// Signer: the token's audit key, ECDSA P-256, made in the token on first use.
#pragma once

#include <functional>
#include <memory>

#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "pkcs11/libp11_tenant.h"
#include "pkcs11/session.h"
#include "pkcs11/session_pool.h"

namespace kms::pkcs11 {

// What EnsureSigningKey found or made.
struct SigningKeyObject {
  Bytes id;  // CKA_ID
  bool made = false;
};

// Finds the signing key by its label, or makes it; the caller holds the token's objects
// exclusively.
// Errors: kFailedPrecondition when there are several or one with refused attributes.
Result<SigningKeyObject> EnsureSigningKey(Session& session, bool demand_local);

// Signs through EVP. Its key dies with the login: make a new Signer after every one.
// Thread rule: any thread.
class Signer {
 public:
  // Errors: as Libp11Tenant::FindPrivateKey.
  static Result<std::unique_ptr<Signer>> Open(Libp11Tenant& tenant, ByteView id);
  // For tokens whose keys libp11 does not see: some libraries give each of their users in a process
  // a connection of its own, and the login is ours. `pool` must outlive it. Errors: as the session.
  static Result<std::unique_ptr<Signer>> OpenWithoutLibp11(SessionPool& pool, Session& session,
                                                           ByteView id);

  // ECDSA over SHA-256 in DER form, verified before it is returned. Shares `objects`, the lock of
  // the token's objects, while the token signs; the caller does not hold it. Errors: kUnavailable.
  Result<Bytes> Sign(ByteView message, SharedMutex& objects);
  // SubjectPublicKeyInfo, DER.
  [[nodiscard]] const Bytes& public_key() const { return public_key_; }

 private:
  using SignFunction = std::function<Result<Bytes>(ByteView message, SharedMutex& objects)>;
  Signer(SignFunction sign, EvpKey verifying_key, Bytes public_key)
      : sign_(std::move(sign)),
        verifying_key_(std::move(verifying_key)),
        public_key_(std::move(public_key)) {}
  static Result<std::unique_ptr<Signer>> Make(SignFunction sign, Bytes public_key);

  const SignFunction sign_;     // in the token, DER form
  const EvpKey verifying_key_;  // in software
  const Bytes public_key_;
};

}  // namespace kms::pkcs11
