// SPDX-License-Identifier: Apache-2.0
// LostHsm: what says that a token will never come back, who said so, and which master keys stay in
// it undestroyed. Sealed in `sys` at "lost-hsms/<environment id>/<id>"; a frozen sample lives in
// the tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/master/key_group.h"
#include "kms/master/sealed_store.h"

namespace kms {

// What an operator says of a token.
struct LossDeclaration {
  std::string declared_by;
  std::string reason;  // may be empty
  friend bool operator==(const LossDeclaration&, const LossDeclaration&) = default;
};

// One key object that nobody can destroy, as it was recorded when it was made.
struct LostMasterKey {
  MasterKeyVersion version = 0;
  std::string token_label;
  std::string token_serial;
  Uuid id;  // CKA_ID
  std::string label;
  std::int64_t made_unix_seconds = 0;
  friend bool operator==(const LostMasterKey&, const LostMasterKey&) = default;
};

struct LostHsm {
  Uuid id;
  std::string hsm;
  LossDeclaration declaration;
  std::int64_t declared_unix_seconds = 0;
  std::uint64_t resident_keys = 0;  // objects of deleted keys that were to be destroyed there
  std::vector<LostMasterKey> master_keys;  // that no statement of a retirement tells of yet

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<LostHsm> Decode(ByteView encoded);
  friend bool operator==(const LostHsm&, const LostHsm&) = default;
};

std::string LostHsmPrefix(const Uuid& environment_id);
std::string LostHsmPath(const Uuid& environment_id, const Uuid& id);

// Oldest first. Errors: kCorrupted, store errors.
Result<std::vector<LostHsm>> ReadLostHsms(SealedStore& sys, const Uuid& environment_id);

// A statement tells of master key `version` in every lost token: the records need not any more.
// Errors: kConflict, store errors.
Status SettleLostMasterKeys(SealedStore& sys, const Uuid& environment_id, MasterKeyVersion version);

}  // namespace kms
