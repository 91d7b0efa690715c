// SPDX-License-Identifier: Apache-2.0
// ImportKeyMaker: makes or adopts the import key of an id, in whatever way the token allows.
#pragma once

#include <optional>
#include <string>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/master/import_key.h"
#include "pkcs11/connection.h"
#include "pkcs11/import_key.h"

namespace kms::pkcs11 {

// The seconds that making takes are spent without any lock, so that other calls go on: the key is
// made in a session and then copied into the token, which is quick, under the exclusive lock of its
// objects. Tokens that copy no keys, or forget their history doing so, make it in the token at
// once: those are no SoftHSM, which alone needs that lock.
// Each step that may be refused has a session of its own.
class ImportKeyMaker {
 public:
  // A failure that is the device's is recorded in `call`, for its driver. No lock may be held.
  ImportKeyMaker(Connection& connection, Session& call, ImportKeyTemplate wanted)
      : connection_(connection), call_(call), wanted_(std::move(wanted)) {}

  // nullopt: this token cannot, and nothing stays in it. Errors: kFailedPrecondition for refused
  // attributes; as the session.
  Result<std::optional<ImportKeyRecord>> AdoptOrMake(Deadline deadline);

 private:
  struct SessionKey {
    Session session;  // its objects go with it
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  };

  Result<std::optional<ImportKeyObject>> Find();
  // False: the token cannot.
  Result<bool> Make();
  Result<std::optional<SessionKey>> Generate(bool in_token);
  // False: the token does not copy keys as they must be.
  Result<bool> Copy(CK_OBJECT_HANDLE key);
  Result<bool> CopyOnce(CK_OBJECT_HANDLE key, ExtraAttributes extras);
  Status Check(const ImportKeyObject& key);
  Status Destroy(Deadline deadline);

  // Fills `record.places`.
  Status FindPlaces(const ImportKeyObject& key, ImportKeyRecord& record);
  Result<OaepPlace> FindPlace(const ImportKeyObject& key, HashAlgorithm hash,
                              std::optional<Rv>& doubtful);

  Connection& connection_;
  Session& call_;
  const ImportKeyTemplate wanted_;
};

}  // namespace kms::pkcs11
