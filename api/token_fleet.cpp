// SPDX-License-Identifier: Apache-2.0
#include "api/token_fleet.h"

#include <algorithm>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "api/token_options.h"
#include "kms/master/epoch_counter.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/worker_device.h"

namespace kms::api {

namespace {

using pkcs11::WorkerDevice;

constexpr Milliseconds kPollInterval{10};
// Tokens that start together do not serve at the same moment: whoever opens the service by the
// first should find the others there too.
constexpr Milliseconds kOthersGrace{1000};

Result<std::shared_ptr<WorkerDevice>> StartWorker(const std::string& name,
                                                  const HsmConfig& config) {
  pkcs11::WorkerOptions options;
  options.token = TokenOptionsFrom(config);
  options.environment = WorkerEnvironmentFrom(config);
  Result<std::unique_ptr<WorkerDevice>> device = WorkerDevice::Start(std::move(options));
  if (!device.has_value()) {
    return FailedPrecondition("HSM " + name + ": " + device.error().public_message,
                              device.error().detail);
  }
  return std::shared_ptr<WorkerDevice>(*std::move(device));
}

HsmParts PartsOf(const std::shared_ptr<WorkerDevice>& device) {
  MasterKeyDevice* const master_keys = device.get();
  return {.owner = device,
          .master_keys = master_keys,
          .resident_keys = dynamic_cast<ResidentKeyDevice*>(master_keys),
          .epochs = dynamic_cast<EpochCounter*>(master_keys)};
}

BreakerOptions BreakerOptionsFrom(const HsmConfig& config, std::uint32_t max_slow_requests) {
  return {.max_calls = static_cast<std::uint32_t>(config.max_calls),
          .max_waiting = static_cast<std::uint32_t>(config.max_waiting),
          .max_slow_requests = max_slow_requests,
          .failures_to_open = static_cast<std::uint32_t>(config.breaker_failures),
          .hung_after = config.breaker_hung_after,
          .first_pause = config.breaker_first_pause,
          .longest_pause = config.breaker_longest_pause,
          .call_timeout = config.call_timeout};
}

HsmChanges Compare(const HsmConfigs& before, const HsmConfigs& after) {
  HsmChanges changes;
  for (const auto& [name, config] : after) {
    const auto known = before.find(name);
    if (known == before.end()) {
      changes.added.push_back(name);
    } else if (known->second != config) {
      changes.changed.push_back(name);
    }
  }
  for (const auto& [name, config] : before) {
    if (!after.contains(name)) {
      changes.removed.push_back(name);
    }
  }
  return changes;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

Status RefuseThoseInUse(const std::vector<std::string>& removed, const TokenFleet::Users& users) {
  for (const std::string& name : removed) {
    const std::vector<std::string> environments = users ? users(name) : std::vector<std::string>{};
    if (!environments.empty()) {
      return FailedPrecondition(
          "HSM " + name + " still serves " + Joined(environments) +
          " and cannot be taken out of the configuration: first `kmsctl hsm remove " + name +
          " --env ENVIRONMENT` for each");
    }
  }
  return Ok();
}

bool NeedsOperator(const HsmStatus& status) {
  return status.device.state == DeviceState::kLockedOut ||
         status.device.state == DeviceState::kFatalConfig;
}

bool Serves(const HsmStatus& status) { return status.device.state == DeviceState::kReady; }

}  // namespace

// Whoever reads the configuration again has seen to what those wait for: another token in the place
// of the old one, a PIN that was unlocked. A PIN that was refused is not tried again by this.
std::vector<std::string> TokenFleet::WaitingForOperator(const std::vector<std::string>& changed,
                                                        const HsmConfigs& tokens) const {
  std::vector<std::string> waiting;
  for (const HsmStatus& status : hsms_.Statuses()) {
    const bool is_new = std::ranges::find(changed, status.name) != changed.end();
    if (NeedsOperator(status) && !is_new && tokens.contains(status.name)) {
      waiting.push_back(status.name);
    }
  }
  return waiting;
}

Result<HsmChanges> TokenFleet::Apply(const HsmConfigs& tokens, const Users& users, bool dry_run) {
  const ScopedLock lock(mutex_);
  HsmChanges changes = Compare(running_, tokens);
  changes.restarted = WaitingForOperator(changes.changed, tokens);
  KMS_TRY(RefuseThoseInUse(changes.removed, users));
  if (dry_run) {
    return changes;
  }
  std::map<std::string, std::shared_ptr<WorkerDevice>> started;
  for (const auto* names : {&changes.added, &changes.changed, &changes.restarted}) {
    for (const std::string& name : *names) {
      started[name] = KMS_TRY(StartWorker(name, tokens.at(name)));
    }
  }
  for (const auto* names : {&changes.removed, &changes.changed, &changes.restarted}) {
    for (const std::string& name : *names) {
      KMS_TRY(hsms_.Remove(name));
      workers_.erase(name);
    }
  }
  for (const auto& [name, device] : started) {
    workers_[name] = device;
    KMS_TRY(hsms_.Add(name, PartsOf(device),
                      BreakerOptionsFrom(tokens.at(name), max_slow_requests_)));
  }
  running_ = tokens;
  return changes;
}

void TokenFleet::LimitCalls(Milliseconds patience) {
  const ScopedLock lock(mutex_);
  for (const auto& [name, worker] : workers_) {
    if (const std::shared_ptr<WorkerDevice> device = worker.lock(); device != nullptr) {
      device->LimitCalls(patience);
    }
  }
}

std::string TokenFleet::TitleOf(const std::string& hsm) const {
  const ScopedLock lock(mutex_);
  const auto known = running_.find(hsm);
  if (known == running_.end()) {
    return "the HSM " + hsm;
  }
  return "the HSM token \"" + known->second.token_label + "\" of " + known->second.module;
}

Error TokenFleet::NoneServes(const std::vector<HsmStatus>& statuses) const {
  std::string text;
  std::string detail;
  for (const HsmStatus& status : statuses) {
    text +=
        (text.empty() ? "" : "; ") + TitleOf(status.name) +
        (Serves(status) ? " is ready, but does not open the service"
                        : " is not ready: " + std::string(DeviceStateName(status.device.state)));
    if (!status.device.state_reason.empty()) {
      detail += (detail.empty() ? "" : "; ") + status.name + ": " + status.device.state_reason;
    }
  }
  return FailedPrecondition(text.empty() ? "no HSM is configured" : text, detail);
}

Result<std::vector<std::string>> TokenFleet::AwaitServing(const std::vector<std::string>& tried,
                                                          Deadline deadline) const {
  std::optional<Deadline> end;  // of the wait for the others
  for (;;) {
    const std::vector<HsmStatus> statuses = hsms_.Statuses();
    std::vector<std::string> serving;
    bool is_new = false;
    bool all_settled = true;
    for (const HsmStatus& status : statuses) {
      if (Serves(status)) {
        serving.push_back(status.name);
        is_new = is_new || std::ranges::find(tried, status.name) == tried.end();
      }
      all_settled = all_settled && (Serves(status) || NeedsOperator(status));
    }
    const auto now = std::chrono::steady_clock::now();
    if (is_new && !end) {
      end = std::min(deadline, now + kOthersGrace);
    }
    if (is_new && (all_settled || now >= *end)) {
      return serving;
    }
    if (!is_new && (all_settled || now >= deadline)) {
      return NoneServes(statuses);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace kms::api
