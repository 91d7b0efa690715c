// SPDX-License-Identifier: Apache-2.0
// Backups: makes and checks backups of the whole store while the service runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "kms/backup/backup_header.h"
#include "kms/backup/backup_list.h"
#include "kms/backup/epochs.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/operations/environments.h"
#include "kms/store/store.h"

namespace kms {

struct BackupsOptions {
  // Writes a consistent copy of the store as a file of its own (SqliteStore::CopyTo).
  std::function<Status(const std::string& path)> copy_store;
  std::string directory;             // where the copy stands meanwhile, in a directory of its own
  std::string store_name = "store";  // in the name of that directory: several stores may be beside
  std::uint64_t max_bytes = std::uint64_t{1} << 30U;
  Epochs* epochs = nullptr;  // null: the backup names none
};

// The master keys that open the environments of a store: of each token the newest that every key of
// the environment is wrapped under. `names` gives names to ids. Errors: store errors, kCorrupted.
Result<std::vector<BackupMasterKey>> MasterKeysOf(Store& store,
                                                  const std::map<Uuid, std::string>& names);

// Removes the copies that a process which was killed in the middle of a backup left there. The
// caller holds the store's lock, so that none is under way.
void RemoveInterruptedCopies(const BackupsOptions& options);

// Thread rule: any thread; one backup at a time, its lock is held over the copy and commits.
class Backups {
 public:
  // `store` is what `copy_store` copies. All must outlive it.
  Backups(Store& store, Environments& environments, const Clock& clock, BackupsOptions options)
      : store_(store), environments_(environments), clock_(clock), options_(std::move(options)) {}

  struct Made {
    BackupHeader header;
    std::string bytes;  // the whole file
  };
  // Registers the backup before it copies, so that no master key it needs is retired meanwhile.
  // Errors: kUnavailable (disk, store, another backup under way, `sys` sealed),
  // kFailedPrecondition when it would be larger than max_bytes.
  Result<Made> Make(std::chrono::seconds keep);

  // Whether the head of a file is of a backup of this service, unchanged. Errors: kCorrupted.
  Result<BackupHeader> Check(ByteView head);

  [[nodiscard]] BackupList list();

 private:
  [[nodiscard]] std::map<Uuid, std::string> EnvironmentNames() const;
  Result<Made> MakeFrom(const std::string& copy, BackupRecord record);

  Store& store_;
  Environments& environments_;
  const Clock& clock_;
  const BackupsOptions options_;
  Mutex mutex_;
};

}  // namespace kms
