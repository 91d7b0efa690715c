// SPDX-License-Identifier: Apache-2.0
// RestoreStore: puts a backup in the place of the store while the service is stopped (failures D27,
// D28). The live store is not touched before everything about the backup is proven.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "kms/backup/backup_header.h"
#include "kms/base/result.h"
#include "kms/master/hsm_registry.h"

namespace kms {

struct RestoreOptions {
  std::string backup_path;
  std::string store_path;
  // Goes on although the live store or the HSM tokens are newer.
  bool accept_rollback = false;
  // No HSM opens the backup any more: only its checksum is verified, and `kmsd recover` must
  // follow.
  bool without_hsm = false;
  bool dry_run = false;  // proves everything and changes nothing
  std::chrono::milliseconds hsm_timeout{5000};
  std::function<void(int step)> step;  // told of each step of the replacement; for tests
};

struct RestoreReport {
  BackupHeader header;
  std::uint64_t epoch = 0;     // the highest of the tokens that answer
  Revision live_revision = 0;  // of the store that was there; 0: none, or it cannot be read
  std::string kept;            // where the old store is now; empty: there was none
  [[nodiscard]] bool older() const {
    return header.record.revision < epoch || header.record.revision < live_revision;
  }
};

// Errors, written for the operator: kNotFound (no such file), kCorrupted (truncated, changed,
// forged), kFailedPrecondition (store in use; another cluster's; older, with both figures; no token
// opens it), kUnavailable (disk, HSM).
Result<RestoreReport> RestoreStore(const RestoreOptions& options, HsmRegistry& hsms);

// Removes what a restore that was killed left beside the store. The caller holds the store's lock,
// so that none is under way.
void RemoveInterruptedRestore(const std::string& store_path);

}  // namespace kms
