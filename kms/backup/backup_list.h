// SPDX-License-Identifier: Apache-2.0
// BackupList: the backups of the whole store that were made and are not yet over, and the master
// keys that open them. Sealed in `sys` at "backups/<id>".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/master/key_group.h"
#include "kms/master/sealed_store.h"

namespace kms {

// One master key that opens one environment of a backup: of each token the newest that every key of
// the environment is wrapped under.
struct BackupMasterKey {
  Uuid environment_id;
  std::string environment;  // its name when the backup was made
  std::string hsm;
  MasterKeyVersion version = 0;
  Uuid master_key_id;  // CKA_ID
  friend bool operator==(const BackupMasterKey&, const BackupMasterKey&) = default;
};

struct BackupRecord {
  Uuid id;
  std::int64_t created_unix_seconds = 0;
  std::int64_t expires_unix_seconds = 0;  // afterwards nothing is kept for its sake
  Revision revision = 0;                  // of the store when it was made
  std::vector<BackupMasterKey> master_keys;

  [[nodiscard]] bool ExpiredAt(WallTime now) const {
    return expires_unix_seconds <= ToUnixSeconds(now);
  }
  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<BackupRecord> Decode(ByteView encoded);
  friend bool operator==(const BackupRecord&, const BackupRecord&) = default;
};

// Thread rule: any thread. Errors of every call: those of the store.
class BackupList {
 public:
  // `sys` (the sealed store of the environment `sys`) and `clock` must outlive it.
  BackupList(SealedStore& sys, const Clock& clock) : sys_(sys), clock_(clock) {}

  // Adds it, or puts it in place of the one with its id; drops those that expired a week ago.
  Status Put(const BackupRecord& record);
  // Oldest first; those that expired lately too.
  Result<std::vector<BackupRecord>> List();
  // What is kept for its sake may go. Errors: kNotFound.
  Status Forget(const Uuid& id);

  // The unexpired backups that need this master key version of an environment, in whichever token:
  // to be asked before the version is retired.
  Result<std::vector<BackupRecord>> Needing(const Uuid& environment_id, MasterKeyVersion version);

 private:
  Status DropLongExpired(const std::vector<BackupRecord>& records);

  SealedStore& sys_;
  const Clock& clock_;
};

}  // namespace kms
