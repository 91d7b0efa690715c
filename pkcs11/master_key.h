// SPDX-License-Identifier: Apache-2.0
// Master-key objects in the token: how they are made, found, judged and proven.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "pkcs11/attributes.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

// Attributes that good tokens honour and others refuse; tried first, then left out. The fewest
// leave out the usages that an RSA key shall not have, since a TPM insists on its own.
enum class ExtraAttributes : std::uint8_t { kNone, kUnmodifiableAndOneMechanism, kFewest };

struct MasterKeyTemplate {
  Uuid id;
  std::string label;
  WrapMechanism mechanism = WrapMechanism::kGcmEncrypt;
  bool in_token = true;  // false: a throw-away key of the session
};

struct GeneratedKey {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;         // of the secret or private key
  CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE;  // RSA only
  Bytes public_key;                                    // RSA only: SubjectPublicKeyInfo
};

// Makes the key with every attribute explicit. Errors: as the session.
Result<GeneratedKey> GenerateMasterKeyObject(Session& session, const MasterKeyTemplate& key,
                                             ExtraAttributes extras);

// The one object with that CKA_ID. Errors: kNotFound when there is none (H11),
// kFailedPrecondition naming them when there are several (H12).
Result<CK_OBJECT_HANDLE> FindMasterKeyObject(Session& session, const Uuid& id);

// Refuses a key that is not private, sensitive, never extractable and made in the token, that may
// both encrypt and wrap, or that cannot do what `mechanism` needs (H16).
// Errors: kFailedPrecondition, naming every wrong attribute.
struct KeyDemands {
  WrapMechanism mechanism = WrapMechanism::kGcmEncrypt;
  bool unmodifiable = false;  // where the token is known to honour it
  bool local = true;          // where the token reports it truly
};
Status CheckMasterKeyAttributes(Session& session, CK_OBJECT_HANDLE key, const KeyDemands& demands);

// The part of it that holds for every secret object of ours, signing keys too.
Status CheckSecrecyAttributes(Session& session, CK_OBJECT_HANDLE key, bool demand_local);

// A search without login finds no private object. Fails the session as "not logged in" then, so
// that an empty result is not taken for a missing key.
Status RequireLogin(Session& session);

// The usage that a found key's attributes allow. Errors: kFailedPrecondition for both or neither.
Result<KeyUsage> ReadKeyUsage(Session& session, CK_OBJECT_HANDLE key);

Result<bool> IsRsaKey(Session& session, CK_OBJECT_HANDLE key);
// SubjectPublicKeyInfo of the RSA public key with that CKA_ID. Errors: kFailedPrecondition.
Result<Bytes> ReadRsaPublicKey(Session& session, const Uuid& id);

// Destroys the master key with that CKA_ID and CKA_LABEL (a key pair is two objects), and nothing
// else: ids come from a store, and whoever wrote there must not choose what is destroyed. Success
// when there is none. Errors: kFailedPrecondition, with nothing destroyed, when a key with the id is
// no master key or bears another label, naming both.
Status DestroyMasterKeyObjects(Session& session, const Uuid& id, std::string_view label);

// Errors: kFailedPrecondition when the object bears another label, naming both. `what`: "master key".
Status CheckLabelToDestroy(Session& session, CK_OBJECT_HANDLE object, std::string_view label,
                           std::string_view what);

// Opens `record`'s sentinel and compares in constant time. Errors: kCorrupted when it opens to
// something else; as UnwrapUnder.
Status OpenSentinel(Session& session, CK_OBJECT_HANDLE key, const MasterKeyRecord& record);

// Wraps the sentinel value of `id`.
Result<WrappedKey> WrapSentinel(Session& session, const WrappingKey& key, const Uuid& id);

WrapProfile ProfileOf(const MasterKeyRecord& record);

}  // namespace kms::pkcs11
