// SPDX-License-Identifier: Apache-2.0
// How long work runs in kmsd: its audit, its log lines, its limits.
#pragma once

#include "api/config/config.h"
#include "kms/audit/chained_audit_log.h"
#include "kms/backup/store_guard.h"
#include "kms/tasks/scrub.h"
#include "kms/tasks/task_runner.h"

namespace kms::api {

// Both must outlive what is made with them.
TaskRunnerOptions TaskRunnerOptionsFrom(const Config& config, ChainedAuditLog& audit,
                                        const Environments& environments);

// All must outlive what is made with them.
ScrubOptions ScrubOptionsFrom(const Config& config, ChainedAuditLog& audit, StoreGuard& guard,
                              Environments& environments);

}  // namespace kms::api
