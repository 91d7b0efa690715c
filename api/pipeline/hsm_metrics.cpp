// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/hsm_metrics.h"

#include <algorithm>
#include <limits>
#include <string>

#include "kms/master/hsm_registry.h"
#include "kms/operations/environments.h"

namespace kms::api {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kMillisecondsPerSecond = 1e3;
constexpr double kMicrosecondsPerSecond = 1e6;

struct EnvironmentFamilies {
  MetricFamily sealed =
      MakeFamily("kms_environment_sealed", "1 while an environment is sealed", MetricType::Gauge);
  MetricFamily warm = MakeFamily("kms_warm_keys", "Keys held in memory", MetricType::Gauge);
  MetricFamily age =
      MakeFamily("kms_environment_lease_age_seconds",
                 "Since an HSM last proved that it opens the environment's key", MetricType::Gauge);
  MetricFamily grace = MakeFamily("kms_environment_lease_grace_seconds",
                                  "Age of the lease at which keys are wiped, beyond its interval",
                                  MetricType::Gauge);
  MetricFamily members =
      MakeFamily("kms_environment_hsms", "HSM tokens of the group by state", MetricType::Gauge);
  MetricFamily master = MakeFamily("kms_environment_master_key_version",
                                   "Version of the master key in use", MetricType::Gauge);
  MetricFamily key = MakeFamily("kms_environment_key_version",
                                "Version of the environment key in use", MetricType::Gauge);
  MetricFamily holders = MakeFamily("kms_environment_recovery_holders",
                                    "Holders who can open it together without any HSM; 0: nobody",
                                    MetricType::Gauge);

  void Add(const EnvironmentStatus& status) {
    const MetricLabels labels = {{"environment", status.name}};
    AddGauge(sealed, labels, status.sealed ? 1 : 0);
    if (status.lease_age_ms) {
      AddGauge(age, labels, static_cast<double>(*status.lease_age_ms) / kMillisecondsPerSecond);
    }
    AddGauge(grace, labels,
             status.lease_grace_ms
                 ? static_cast<double>(*status.lease_grace_ms) / kMillisecondsPerSecond
                 : std::numeric_limits<double>::infinity());
    AddGauge(master, labels, status.master_key_version);
    AddGauge(key, labels, status.environment_key_version);
    for (const MemberState state : {MemberState::kUnknown, MemberState::kReady, MemberState::kAway,
                                    MemberState::kHealing, MemberState::kRefused}) {
      AddGauge(
          members, {{"environment", status.name}, {"state", std::string(MemberStateName(state))}},
          static_cast<double>(std::ranges::count(status.members, state, &MemberStatus::state)));
    }
  }
};

struct HsmFamilies {
  MetricFamily ready = MakeFamily("kms_hsm_ready", "1 while the HSM serves", MetricType::Gauge);
  MetricFamily state =
      MakeFamily("kms_hsm_state", "1 for the state the HSM is in", MetricType::Gauge);
  MetricFamily breaker =
      MakeFamily("kms_hsm_breaker", "1 for the state its breaker is in", MetricType::Gauge);
  MetricFamily opened = MakeFamily("kms_hsm_breaker_opened_total", "How often its breaker opened",
                                   MetricType::Counter);
  MetricFamily sessions = MakeFamily("kms_hsm_sessions", "PKCS#11 sessions", MetricType::Gauge);
  MetricFamily pending =
      MakeFamily("kms_hsm_calls_pending", "Calls in flight, and those that wait for their turn",
                 MetricType::Gauge);
  MetricFamily waiting = MakeFamily(
      "kms_hsm_requests_waiting", "Calls that wait in the worker for a session", MetricType::Gauge);
  MetricFamily seconds =
      MakeFamily("kms_hsm_call_seconds",
                 "What answered calls of the last minutes took, by quantile", MetricType::Gauge);
  MetricFamily calls =
      MakeFamily("kms_hsm_calls_total", "Calls to the HSM; refused ones never reached it",
                 MetricType::Counter);
  MetricFamily restarts =
      MakeFamily("kms_hsm_restarts_total", "Recoveries of the HSM connection", MetricType::Counter);
  MetricFamily memory =
      MakeFamily("kms_hsm_worker_memory_bytes",
                 "Resident memory of the process that holds the module", MetricType::Gauge);

  void Add(const HsmStatus& hsm) {
    const DeviceStatistics& device = hsm.device;
    AddGauge(ready, {{"hsm", hsm.name}}, device.state == DeviceState::kReady ? 1 : 0);
    for (const DeviceState each : {DeviceState::kDown, DeviceState::kReady, DeviceState::kLockedOut,
                                   DeviceState::kFatalConfig}) {
      AddGauge(state, {{"hsm", hsm.name}, {"state", std::string(DeviceStateName(each))}},
               device.state == each ? 1 : 0);
    }
    for (const BreakerState each :
         {BreakerState::kClosed, BreakerState::kOpen, BreakerState::kHalfOpen}) {
      AddGauge(breaker, {{"hsm", hsm.name}, {"state", std::string(BreakerStateName(each))}},
               hsm.breaker == each ? 1 : 0);
    }
    AddCounter(opened, {{"hsm", hsm.name}}, static_cast<double>(hsm.breaker_opened));
    AddGauge(sessions, {{"hsm", hsm.name}, {"state", "open"}}, device.sessions_open);
    AddGauge(sessions, {{"hsm", hsm.name}, {"state", "in_use"}}, device.sessions_in_use);
    AddGauge(pending, {{"hsm", hsm.name}, {"state", "in_flight"}}, hsm.calls_in_flight);
    AddGauge(pending, {{"hsm", hsm.name}, {"state", "waiting"}}, hsm.calls_waiting);
    AddGauge(waiting, {{"hsm", hsm.name}}, device.requests_waiting);
    AddLatency(hsm);
    AddOutcomes(hsm);
    AddGauge(memory, {{"hsm", hsm.name}}, static_cast<double>(device.worker_memory_bytes));
  }

 private:
  void AddLatency(const HsmStatus& hsm) {
    for (const auto& [quantile, microseconds] :
         {std::pair{"0.5", hsm.latency.p50_us}, std::pair{"0.95", hsm.latency.p95_us},
          std::pair{"0.99", hsm.latency.p99_us}}) {
      AddGauge(seconds, {{"hsm", hsm.name}, {"quantile", quantile}},
               static_cast<double>(microseconds) / kMicrosecondsPerSecond);
    }
  }

  void AddOutcomes(const HsmStatus& hsm) {
    const DeviceStatistics& device = hsm.device;
    for (const auto& [outcome, count] :
         {std::pair{"all", device.calls}, std::pair{"failed", device.failed_calls},
          std::pair{"abandoned", device.abandoned_calls},
          std::pair{"refused", hsm.refused_calls}}) {
      AddCounter(calls, {{"hsm", hsm.name}, {"outcome", outcome}}, static_cast<double>(count));
    }
    for (const auto& [what, count] :
         {std::pair{"login", device.reconnects}, std::pair{"worker", device.worker_restarts},
          std::pair{"memory", device.worker_replacements}}) {
      AddCounter(restarts, {{"hsm", hsm.name}, {"what", what}}, static_cast<double>(count));
    }
  }
};

void Move(MetricFamily& family, MetricFamilies& out) { out.push_back(std::move(family)); }

}  // namespace

void AddHsmMetrics(const Environments& environments, std::uint64_t alarms, MetricFamilies& out) {
  EnvironmentFamilies of_environments;
  for (const EnvironmentStatus& status : environments.Statuses()) {
    of_environments.Add(status);
    const Result<std::size_t> holders = environments.CountRecoveryHolders(status.name);
    if (holders.has_value()) {
      AddGauge(of_environments.holders, {{"environment", status.name}},
               static_cast<double>(*holders));
    }
  }
  for (const auto& environment : environments.List()) {
    AddGauge(of_environments.warm, {{"environment", environment->identity().name}},
             static_cast<double>(environment->warm_keys()));
  }
  EnvironmentFamilies& e = of_environments;
  for (MetricFamily* family :
       {&e.sealed, &e.warm, &e.age, &e.grace, &e.members, &e.master, &e.key, &e.holders}) {
    Move(*family, out);
  }
  HsmFamilies of_hsms;
  for (const HsmStatus& status : environments.hsms().Statuses()) {
    of_hsms.Add(status);
  }
  HsmFamilies& h = of_hsms;
  for (MetricFamily* family : {&h.ready, &h.state, &h.breaker, &h.opened, &h.sessions, &h.pending,
                               &h.waiting, &h.seconds, &h.calls, &h.restarts, &h.memory}) {
    Move(*family, out);
  }
  auto alarm = MakeFamily("kms_hsm_alarms_total",
                          "Things of the HSMs that somebody should look at now; the log names them",
                          MetricType::Counter);
  AddCounter(alarm, {}, static_cast<double>(alarms));
  out.push_back(std::move(alarm));
}

}  // namespace kms::api
