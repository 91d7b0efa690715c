// SPDX-License-Identifier: Apache-2.0
// kmsd restore: puts a backup of the whole store in the store's place. The service must not run;
// deploy/backup.md is the runbook.
#pragma once

#include <string>

#include "api/config/config.h"
#include "kms/base/result.h"

namespace kms::api {

struct RestoreCommand {
  std::string from;              // the file that `kmsctl backup create` wrote
  bool accept_rollback = false;  // the backup may be older than store and HSM tokens
  bool without_hsm = false;      // no HSM opens it any more: `kmsd recover` comes next
  bool dry_run = false;
};

// Prints what was, or would be, restored. Errors: as RestoreStore, and those of the HSM tokens.
Status Restore(const Config& config, const RestoreCommand& command);

}  // namespace kms::api
