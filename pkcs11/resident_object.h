// SPDX-License-Identifier: Apache-2.0
// Resident keys as objects of the token: how they are made, found, judged, read and destroyed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/master_key.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

struct ResidentTemplate {
  Uuid id;
  ResidentKeyType type = ResidentKeyType::kEcdsaP256;
  std::string label;
  bool in_token = true;  // false: of the session, until it is copied
  bool agrees = false;   // of an EC key: whether it may derive, which not every token does
};

// What the token has under an id.
struct ResidentObjects {
  std::vector<CK_OBJECT_HANDLE> secrets;  // secret and private keys
  std::vector<CK_OBJECT_HANDLE> publics;
};
Result<ResidentObjects> FindResidentObjects(Session& session, ByteView id);
// The same by label.
Result<ResidentObjects> FindLabelledObjects(Session& session, std::string_view label);

// Makes the key, or a pair, with every attribute explicit. Errors: as the session.
Result<Session::KeyPair> GenerateResidentObjects(Session& session, const ResidentTemplate& key,
                                                 ExtraAttributes extras);
// Copies both halves of a session's pair into the token.
Status CopyResidentPair(Session& session, const Session::KeyPair& pair, ExtraAttributes extras);

// AES-256, RSA of 2048, 3072 or 4096 bits, or EC on a NIST curve. Errors: kFailedPrecondition for
// any other key.
Result<ResidentKeyType> ReadResidentType(Session& session, CK_OBJECT_HANDLE key);

// Of a key made here: private, sensitive, never extractable, local, and for what its type does
// alone (H16): an EC key signs, and derives or not. Errors: kFailedPrecondition, naming every wrong attribute.
Status CheckOwnAttributes(Session& session, CK_OBJECT_HANDLE key, ResidentKeyType type,
                          const KeyDemands& demands);
// Of a key that existed before: it may come from elsewhere and do less, but not leave the token,
// and not wrap and decrypt. Errors: kFailedPrecondition.
Status CheckExternalAttributes(Session& session, CK_OBJECT_HANDLE key, ResidentKeyType type);
// Keys of this service are used by their own names alone. Errors: kFailedPrecondition.
Status RefuseOwnLabel(std::string_view label);

// SubjectPublicKeyInfo from the public half, or from the private one where that tells it.
// `public_key` is CK_INVALID_HANDLE when the token has none. Errors: kFailedPrecondition when
// neither does; kCorrupted when it is no key of that type.
Result<Bytes> ReadResidentPublicKey(Session& session, ResidentKeyType type, CK_OBJECT_HANDLE secret,
                                    CK_OBJECT_HANDLE public_key);

// Success when there is none. Errors: kFailedPrecondition, with nothing destroyed, when the label of
// one does not begin with `label`, or is none of this service's.
Status DestroyResidentObjects(Session& session, ByteView id, std::string_view label);

}  // namespace kms::pkcs11
