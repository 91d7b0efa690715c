// SPDX-License-Identifier: Apache-2.0
// ResidentKeyMaker: makes or adopts the resident key of an id, in whatever way the token allows.
#pragma once

#include <string>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "pkcs11/connection.h"
#include "pkcs11/resident_object.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {

// RSA pairs are made in a session without any lock, which takes seconds, and copied into the token
// under the exclusive lock of its objects. Tokens that copy no keys, or forget their history doing
// so, make them in the token at once: those are no SoftHSM, which alone needs that lock. What is
// quick is made in the token under the lock.
class ResidentKeyMaker {
 public:
  // A failure that is the device's is recorded in `call`, for its driver. No lock may be held.
  ResidentKeyMaker(Connection& connection, Session& call, ResidentTemplate wanted)
      : connection_(connection), call_(call), wanted_(std::move(wanted)) {}

  // Errors: kInvalidArgument when the token does not make or use such keys (nothing stays in it
  // then); kFailedPrecondition for refused attributes; as the session.
  Result<ResidentKeyRecord> AdoptOrMake(Deadline deadline);

 private:
  // The key in the token, or none: what an interrupted call left halved is destroyed.
  Result<CK_OBJECT_HANDLE> FindWhole();
  Status Make();
  // True: the key is in the token.
  Result<bool> MakeByCopy();
  Result<bool> CopyOnce(const Session::KeyPair& pair, ExtraAttributes extras);
  Status MakeInToken();
  Result<ResidentKeyRecord> Record(CK_OBJECT_HANDLE handle);
  Status Destroy(Deadline deadline);

  Connection& connection_;
  Session& call_;
  const ResidentTemplate wanted_;
};

}  // namespace kms::pkcs11
