// SPDX-License-Identifier: Apache-2.0
#include "api/restore.h"

#include <chrono>
#include <cstdio>

#include "api/token_fleet.h"
#include "kms/backup/restore_store.h"
#include "kms/base/clock.h"
#include "kms/master/hsm_registry.h"
#include "kms/store/store_replacement.h"

namespace kms::api {

namespace {

std::string TimeText(std::int64_t unix_seconds) {
  return ToRfc3339(WallTime(std::chrono::seconds(unix_seconds))).substr(0, 19) + "Z";
}

void Print(const RestoreReport& report, const RestoreCommand& command) {
  const BackupRecord& backup = report.header.record;
  std::printf("backup %s of %s, revision %llu\n", backup.id.ToString().c_str(),
              TimeText(backup.created_unix_seconds).c_str(),
              static_cast<unsigned long long>(backup.revision));
  for (const BackupMasterKey& key : backup.master_keys) {
    std::printf("  %s opens by HSM %s, master key version %u (%s)\n", key.environment.c_str(),
                key.hsm.c_str(), key.version, key.master_key_id.ToString().c_str());
  }
  if (command.dry_run) {
    std::printf("nothing was changed; the backup can be restored\n");
    return;
  }
  std::printf("restored%s%s\n", report.kept.empty() ? "" : "; the old store is ",
              report.kept.c_str());
  if (command.without_hsm) {
    std::printf("now run `kmsd recover begin`: no HSM was asked for its keys\n");
  }
  // The audit log has seen at least the registration of this backup.
  std::printf("start the service with --accept-rollback: the audit log is newer than a backup\n");
}

}  // namespace

Status Restore(const Config& config, const RestoreCommand& command) {
  // Before the tokens: a running service holds some of them too.
  KMS_TRY(StoreReplacement::Begin(config.store.path));
  const SystemClock clock;
  HsmRegistry hsms(clock);
  TokenFleet fleet(hsms);
  if (!command.without_hsm) {
    KMS_TRY(fleet.Apply(AllHsms(config), {}));
    KMS_TRY(fleet.AwaitServing({}, std::chrono::steady_clock::now() + config.hsm.start_timeout));
  }
  RestoreOptions options;
  options.backup_path = command.from;
  options.store_path = config.store.path;
  options.accept_rollback = command.accept_rollback;
  options.without_hsm = command.without_hsm;
  options.dry_run = command.dry_run;
  options.hsm_timeout = config.hsm.call_timeout;
  const RestoreReport report = KMS_TRY(RestoreStore(options, hsms));
  Print(report, command);
  return Ok();
}

}  // namespace kms::api
