// SPDX-License-Identifier: Apache-2.0
// Services: what the pipeline and its handlers work with. PipelineOptions: its limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/pipeline/json_guard.h"
#include "kms/audit/audit_log.h"
#include "kms/auth/limits.h"
#include "kms/base/clock.h"
#include "kms/base/error.h"
#include "kms/base/result.h"
#include "kms/identity/identity.h"
#include "kms/operations/environments.h"

namespace kms {
class Backups;
class Scrub;
class TaskRunner;
}

namespace kms::api {

// What a new reading of the configuration changes among the HSM tokens; their names.
struct HsmChanges {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;
  std::vector<std::string> restarted;  // had been waiting for an operator
};

struct PipelineOptions {
  JsonLimits json;
  std::size_t max_body_bytes = std::size_t{32} << 20U;
  std::size_t max_batch_items = 10'000;
  std::size_t max_token_bytes = 16 * 1024;
  // Batches above this go to the pool, so that one cannot hold up a loop.
  std::size_t max_hot_body_bytes = 64 * 1024;
  // How long a request may wait for its audit record.
  std::chrono::milliseconds audit_timeout{10'000};
  // Clients parse this as a semantic version and switch features by it (transit-api 8.2).
  std::string version = "1.19.0+kms0.1.0";
  std::string build_date = "2026-11-24T00:00:00Z";
  std::string storage_type = "sqlite";
  std::string cluster_name = "kms";
  bool upsert_allowed = true;  // false refuses upsert in every environment
  // Told of every error that is answered with a 5xx, detail included: for the service log. Any
  // thread; must not block. Empty: nobody is told.
  std::function<void(const Error& error, std::string_view path)> report;
  // Told what somebody should look at, for example a decryption budget that was used up; as above.
  std::function<void(std::string_view what)> alarm;
  // Reads the HSM tokens of the configuration again, starts workers for new ones and ends those of
  // what is left out; `dry_run` only says what it would do. Any thread. Empty: not offered. Errors:
  // kInvalidArgument for a configuration that is not valid, kFailedPrecondition with the reason;
  // nothing is changed then.
  std::function<Result<HsmChanges>(bool dry_run)> reload_hsms;
  // How often something of the HSMs was worth an alarm; for metrics. Empty: never.
  std::function<std::uint64_t()> hsm_alarms;
};

// Everything must outlive the pipeline.
struct Services {
  Environments& environments;
  AuditLog& audit;
  Identity& identity;
  Limits& limits;
  const Clock& clock;
  PipelineOptions options;
  TaskRunner* tasks = nullptr;  // where there is none, no long work is done
  Backups* backups = nullptr;   // where there is none, the store is not backed up here
  Scrub* scrub = nullptr;       // where there is none, nothing is looked at before it is needed
};

}  // namespace kms::api
