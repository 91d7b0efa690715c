// SPDX-License-Identifier: Apache-2.0
// Signatures of RSA wraps. An RSA-OAEP wrap is made by the public key alone, which is stored in
// clear: whoever can write to the store could make one of a key of their own choice. So the token
// signs each wrap with a key that never leaves it, and what it has not signed is not opened. It is
// no audit key: nothing else is signed with it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/master/wrapped_key.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

// CKA_LABEL of the key. There may be several, since two services may each make one at their first
// start with a token: the first signs, all of them are trusted.
inline constexpr std::string_view kWrapKeyLabel = "kms wrap signing key";

// Its handle, and the public half as the token tells it: never as a store does.
struct WrapKey {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  Bytes id;             // CKA_ID
  bool is_rsa = false;  // RSA-3072, PKCS #1 v1.5 with SHA-256; else ECDSA P-256 with SHA-256
  Bytes public_key;     // SubjectPublicKeyInfo
};

// By id; empty when the token has none. Errors: kFailedPrecondition when one has refused attributes
// or no public half; as the session.
Result<std::vector<WrapKey>> FindWrapKeys(Session& session, bool demand_local);

// Makes one unless there is one, ECDSA where the token has that and RSA else, and tries the first.
// The caller holds the token's objects exclusively. `made` is set when the token's objects were
// changed. Errors: as FindWrapKeys; why the token makes none.
Status EnsureWrapKey(Session& session, CK_SLOT_ID slot, bool demand_local, bool& made);

// Signs a finished wrap, the master key's id and version included; the signature was verified.
// Errors: as the session.
Status SignWrap(Session& session, const WrapKey& key, WrappedKey& wrapped, ByteView context);

// In software. Errors: kCorrupted, for no signature and for a wrong one.
Status CheckWrapSignature(std::span<const WrapKey> keys, const WrappedKey& wrapped,
                          ByteView context);

}  // namespace kms::pkcs11
