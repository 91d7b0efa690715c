// SPDX-License-Identifier: Apache-2.0
// Import keys in the token: how they are found, judged, made of parts, and used.
#pragma once

#include <optional>
#include <string>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/import_key.h"
#include "pkcs11/master_key.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

// Only the private half is kept in the token: the public one follows from it.
struct ImportKeyObject {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  Bytes modulus;     // big-endian, without leading zeros
  Bytes public_key;  // SubjectPublicKeyInfo
};

// The object with that CKA_ID; nullopt when there is none. Errors: kFailedPrecondition when there
// are several (H12), or when it is no RSA-4096 private key, such as a master key (C15).
Result<std::optional<ImportKeyObject>> FindImportKey(Session& session, const Uuid& id);

// Refuses a key that is not private, sensitive, never extractable and made in the token, or that
// may do anything but decrypt (H16). Errors: kFailedPrecondition, naming every wrong attribute.
Status CheckImportKeyAttributes(Session& session, CK_OBJECT_HANDLE key, const KeyDemands& demands);

// Destroys every object with that id and label, or none: kFailedPrecondition when one is no import
// key or bears another label. Success when there is none.
Status DestroyImportKeyObjects(Session& session, const Uuid& id, std::string_view label);

struct ImportKeyTemplate {
  Uuid id;
  std::string label;
  bool in_token = true;  // false: of the session, until it is copied
};
// Makes a pair with every attribute explicit and returns the private half; the public one ends with
// the session. Takes seconds. Errors: as the session.
Result<CK_OBJECT_HANDLE> GenerateImportKeyPair(Session& session, const ImportKeyTemplate& key,
                                               ExtraAttributes extras);
// Copies a session's key into the token, with CKA_MODIFIABLE false if `extras` says so.
Result<CK_OBJECT_HANDLE> CopyIntoToken(Session& session, CK_OBJECT_HANDLE key,
                                       ExtraAttributes extras);

// One ciphertext and what it was encrypted with.
struct ImportCiphertext {
  HashAlgorithm hash = HashAlgorithm::kSha2_256;
  OaepPlace place = OaepPlace::kToken;
  ByteView bytes;
};
// nullopt: it does not open, by our own judgement. Errors: as the session; a token that takes the
// padding off itself refuses what does not open with one of several return values.
Result<std::optional<SecretBytes>> OpenImport(Session& session, const ImportKeyObject& key,
                                              const ImportCiphertext& ciphertext);

// Encrypts to the key, opens it again and compares: whether the key and the place work now.
Result<bool> OpensItsOwnImports(Session& session, const ImportKeyObject& key, HashAlgorithm hash,
                                OaepPlace place);

}  // namespace kms::pkcs11
