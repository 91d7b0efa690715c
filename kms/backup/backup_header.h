// SPDX-License-Identifier: Apache-2.0
// BackupHeader: what a backup of the whole store says of itself, and how its key is found again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kms/backup/backup_list.h"
#include "kms/backup/sys_store.h"
#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

struct BackupHeader {
  BackupRecord record;                    // as it was registered
  Uuid sys_id;                            // names the cluster
  std::uint64_t epoch = 0;                // that the HSM tokens held when it was made
  std::string digest;                     // SetDigest::Tag of the store then; may be empty
  EnvironmentKeyVersion key_version = 0;  // of `sys`: the MAC's key is derived from it
  std::vector<StoredWrap> wraps;          // of that version

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<BackupHeader> Decode(ByteView encoded);
};

// HKDF-SHA-256(key of `sys`, salt = id of the backup, "kms backup v1").
Result<SecretBytes> BackupMacKey(const SecretBytes& sys_key, const Uuid& backup_id);

}  // namespace kms
