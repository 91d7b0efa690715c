// SPDX-License-Identifier: Apache-2.0
#include "api/lease_keepers.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>

#include "api/pause.h"
#include "kms/master/guarded_device.h"
#include "kms/master/hsm_registry.h"

namespace kms::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How soon a token that is back is noticed, and an interval that was shortened.
constexpr milliseconds kLongestStep{250};
// Several looks per interval, so that keys are wiped close to the end of their lease.
constexpr int kLooksPerInterval = 4;
constexpr milliseconds kShortestLook{25};
constexpr milliseconds kLongestLook{1000};

bool IsReady(const Environments& environments, std::string_view hsm) {
  const std::shared_ptr<GuardedDevice> device = environments.hsms().Find(hsm);
  return device != nullptr && device->Statistics().state == DeviceState::kReady;
}

// Whether some environment has not been proven by it: another token opened the service.
bool HasUnproven(const Environments& environments, std::string_view hsm) {
  for (const EnvironmentStatus& status : environments.Statuses()) {
    for (const MemberStatus& member : status.members) {
      if (member.hsm == hsm && member.state != MemberState::kReady) {
        return true;
      }
    }
  }
  return false;
}

// Returns when the next round is due: an interval is over, or the token came back. False: stopped.
bool AwaitRound(const std::stop_token& stop, const Environments& environments,
                std::string_view hsm) {
  const steady_clock::time_point begin = steady_clock::now();
  bool was_ready = IsReady(environments, hsm);
  for (;;) {
    const milliseconds interval = environments.ShortestLeaseInterval();
    const auto passed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    if (passed >= interval) {
      return !stop.stop_requested();
    }
    if (!Pause(stop, std::min(kLongestStep, interval - passed))) {
      return false;
    }
    const bool ready = IsReady(environments, hsm);
    if (ready && !was_ready) {
      return true;
    }
    was_ready = ready;
  }
}

void Prove(const std::stop_token& stop, Environments& environments, const std::string& hsm) {
  if (IsReady(environments, hsm) && HasUnproven(environments, hsm)) {
    environments.ProveLeases(hsm);
  }
  while (AwaitRound(stop, environments, hsm)) {
    environments.ProveLeases(hsm);
  }
}

void Seal(const std::stop_token& stop, Environments& environments) {
  const auto pause = [&environments] {
    return std::clamp(environments.ShortestLeaseInterval() / kLooksPerInterval, kShortestLook,
                      kLongestLook);
  };
  while (Pause(stop, pause())) {
    environments.SealExpired();
  }
}

}  // namespace

LeaseKeepers::LeaseKeepers(Environments& environments)
    : environments_(environments),
      sealer_([&environments](const std::stop_token& stop) { Seal(stop, environments); }) {
  Follow();
}

// All are told before any is waited for.
LeaseKeepers::~LeaseKeepers() {
  const ScopedLock lock(mutex_);
  for (auto& [name, prover] : provers_) {
    prover.request_stop();
  }
}

void LeaseKeepers::Follow() {
  const std::vector<std::string> names = environments_.hsms().Names();
  const ScopedLock lock(mutex_);
  for (auto prover = provers_.begin(); prover != provers_.end();) {
    if (std::ranges::find(names, prover->first) == names.end()) {
      prover->second.request_stop();
      ended_.push_back(std::move(prover->second));
      prover = provers_.erase(prover);
    } else {
      ++prover;
    }
  }
  for (const std::string& name : names) {
    if (!provers_.contains(name)) {
      provers_.emplace(
          name, [this, name](const std::stop_token& stop) { Prove(stop, environments_, name); });
    }
  }
}

}  // namespace kms::api
