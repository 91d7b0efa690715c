// SPDX-License-Identifier: Apache-2.0
// Sharded counters and their exposition by prometheus-cpp's serializer.
#include "api/pipeline/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "api/pipeline/hsm_metrics.h"
#include "api/pipeline/metric_families.h"
#include "kms/audit/audit_log.h"
#include "kms/auth/limits.h"

namespace kms::api {
namespace {

constexpr std::size_t kShards = 8;
constexpr std::size_t kStatusClasses = 5;  // 1xx to 5xx
// Upper bounds in microseconds; the last bucket has none.
constexpr std::array<std::int64_t, 11> kBounds = {5,     10,     25,     50,      100,      500,
                                                  1'000, 10'000, 100'000, 1'000'000, 10'000'000};

std::size_t ThisShard() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kShards;
  return mine;
}

std::string PatternOf(const Route& route) {
  return std::string(OperationName(route.operation)) + " " + std::string(route.pattern);
}

prometheus::MetricFamily Family(std::string name, std::string help, prometheus::MetricType type) {
  return MakeFamily(std::move(name), std::move(help), type);
}

void AddLimits(const Limits& limits, std::vector<prometheus::MetricFamily>& out) {
  auto refused = Family("kms_limit_refusals_total", "Requests refused by a rate limit",
                        prometheus::MetricType::Counter);
  for (const LimitScope scope : {LimitScope::kPrincipal, LimitScope::kAddress, LimitScope::kTotal}) {
    AddCounter(refused, {{"scope", std::string(LimitScopeName(scope))}},
               static_cast<double>(limits.rate.refused(scope)));
  }
  auto budgets = Family("kms_decryption_budget_total", "Decryption budgets that were used up",
                        prometheus::MetricType::Counter);
  AddCounter(budgets, {{"outcome", "alarm"}}, static_cast<double>(limits.budgets.alarms()));
  AddCounter(budgets, {{"outcome", "stop"}}, static_cast<double>(limits.budgets.stops()));
  auto logins = Family("kms_login_refusals_total", "Logins refused after failed ones",
                       prometheus::MetricType::Counter);
  AddCounter(logins, {}, static_cast<double>(limits.logins.refused()));
  for (auto* family : {&refused, &budgets, &logins}) {
    out.push_back(std::move(*family));
  }
}

}  // namespace

struct alignas(64) Metrics::Shard {
  using Counter = std::atomic<std::uint64_t>;
  struct Row {
    std::array<Counter, kStatusClasses> requests{};
    std::array<Counter, kBounds.size() + 1> buckets{};
    Counter nanoseconds{0};
  };
  std::array<Row, kMaxRoutes + 1> rows;
};

Metrics::Metrics(std::span<const Route> routes)
    : routes_(routes.first(std::min(routes.size(), kMaxRoutes))),
      shards_(std::make_unique<Shard[]>(kShards)) {}
Metrics::~Metrics() = default;

std::size_t Metrics::RowOf(const Route* route) const {
  if (route == nullptr) {
    return routes_.size();
  }
  const auto index = static_cast<std::size_t>(route - routes_.data());
  return std::min(index, routes_.size());
}

void Metrics::Count(const Route* route, int status, std::chrono::nanoseconds duration) {
  Shard::Row& row = shards_[ThisShard()].rows[RowOf(route)];
  const auto status_class = static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1);
  row.requests[status_class].fetch_add(1, std::memory_order_relaxed);
  const std::int64_t microseconds = duration.count() / 1000;
  std::size_t bucket = 0;
  while (bucket < kBounds.size() && microseconds > kBounds[bucket]) {
    ++bucket;
  }
  row.buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  row.nanoseconds.fetch_add(static_cast<std::uint64_t>(duration.count()),
                            std::memory_order_relaxed);
}

std::string Metrics::Render(const Environments& environments, const AuditLog& audit,
                            const Limits& limits, std::uint64_t hsm_alarms) const {
  auto requests = Family("kms_requests_total", "Answered requests by route and status class",
                         prometheus::MetricType::Counter);
  auto latency = Family("kms_request_duration_seconds", "Time from a whole request to its answer",
                        prometheus::MetricType::Histogram);
  const auto sum = [this](std::size_t row, auto member) {
    std::uint64_t total = 0;
    for (std::size_t shard = 0; shard < kShards; ++shard) {
      total += member(shards_[shard].rows[row]).load(std::memory_order_relaxed);
    }
    return total;
  };
  for (std::size_t row = 0; row <= routes_.size(); ++row) {
    const std::string name = row < routes_.size() ? PatternOf(routes_[row]) : "unmatched";
    for (std::size_t c = 0; c < kStatusClasses; ++c) {
      const std::uint64_t total =
          sum(row, [c](const Shard::Row& r) -> const auto& { return r.requests[c]; });
      if (total != 0) {
        const std::string status = std::to_string(c + 1) + "xx";
        AddCounter(requests, {{"route", name}, {"status", status}}, static_cast<double>(total));
      }
    }
    prometheus::ClientMetric metric;
    metric.label = {{"route", name}};
    std::uint64_t cumulative = 0;
    for (std::size_t b = 0; b <= kBounds.size(); ++b) {
      cumulative += sum(row, [b](const Shard::Row& r) -> const auto& { return r.buckets[b]; });
      const double bound = b < kBounds.size() ? static_cast<double>(kBounds[b]) / 1e6
                                              : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({.cumulative_count = cumulative, .upper_bound = bound});
    }
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum =
        static_cast<double>(
            sum(row, [](const Shard::Row& r) -> const auto& { return r.nanoseconds; })) /
        1e9;
    if (cumulative != 0) {
      latency.metric.push_back(std::move(metric));
    }
  }
  std::vector<prometheus::MetricFamily> families;
  families.push_back(std::move(requests));
  families.push_back(std::move(latency));
  auto healthy = Family("kms_audit_healthy", "1 while audit records can be written",
                        prometheus::MetricType::Gauge);
  AddGauge(healthy, {}, audit.healthy() ? 1 : 0);
  families.push_back(std::move(healthy));
  AddHsmMetrics(environments, hsm_alarms, families);
  AddLimits(limits, families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace kms::api
