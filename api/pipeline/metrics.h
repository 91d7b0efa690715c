// SPDX-License-Identifier: Apache-2.0
// Metrics: counters that the hot path can afford; the text for Prometheus is made when asked for.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "api/pipeline/route.h"

namespace kms {
class AuditLog;
class Environments;
struct Limits;
}  // namespace kms

namespace kms::api {

// Thread rule: any thread. Counters are sharded by thread and relaxed.
class Metrics {
 public:
  // `routes` must outlive it and has at most kMaxRoutes rows.
  explicit Metrics(std::span<const Route> routes);
  ~Metrics();

  // `route` is a row of the table, or null for requests that matched none.
  void Count(const Route* route, int status, std::chrono::nanoseconds duration);

  // Prometheus text exposition, with the state of environments, audit log, HSMs and limits.
  // `hsm_alarms`: how often something of the HSMs was worth an alarm.
  [[nodiscard]] std::string Render(const Environments& environments, const AuditLog& audit,
                                   const Limits& limits, std::uint64_t hsm_alarms) const;

  static constexpr std::size_t kMaxRoutes = 256;

 private:
  struct Shard;
  [[nodiscard]] std::size_t RowOf(const Route* route) const;

  std::span<const Route> routes_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace kms::api
