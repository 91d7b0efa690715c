// SPDX-License-Identifier: Apache-2.0
#include "kms/master/hsm_registry.h"

#include <utility>

#include "kms/master/guarded_device.h"
#include "kms/master/key_group.h"

namespace kms {

std::string_view BreakerStateName(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed: return "closed";
    case BreakerState::kOpen: return "open";
    case BreakerState::kHalfOpen: return "half-open";
  }
  return {};
}

HsmRegistry::HsmRegistry(const Clock& clock) : clock_(clock) {}
HsmRegistry::~HsmRegistry() = default;

Status HsmRegistry::Add(const std::string& name, HsmParts parts, const BreakerOptions& options) {
  if (!IsHsmName(name)) {
    return InvalidArgument(
        "the name of an HSM has 1 to 32 of a-z, 0-9 and '-', and begins with "
        "none of the last");
  }
  auto device = std::make_shared<GuardedDevice>(name, std::move(parts), options, clock_);
  const ScopedLock lock(mutex_);
  if (!devices_.emplace(name, std::move(device)).second) {
    return MakeError(ErrorCode::kAlreadyExists, "there is an HSM \"" + name + "\" already");
  }
  set_aside_.erase(name);
  return Ok();
}

Status HsmRegistry::Remove(std::string_view name) {
  std::shared_ptr<GuardedDevice> last;  // may end a worker: not under the lock
  const ScopedLock lock(mutex_);
  const auto found = devices_.find(name);
  if (found == devices_.end()) {
    return NotFound("no such HSM");
  }
  last = std::move(found->second);
  devices_.erase(found);
  return Ok();
}

Status HsmRegistry::SetAside(const std::string& name, std::string reason) {
  KMS_TRY(Remove(name));
  const ScopedLock lock(mutex_);
  set_aside_.insert_or_assign(name, std::move(reason));
  return Ok();
}

std::string HsmRegistry::WhySetAside(std::string_view name) const {
  const ScopedSharedLock lock(mutex_);
  const auto found = set_aside_.find(name);
  return found == set_aside_.end() ? "" : found->second;
}

std::shared_ptr<GuardedDevice> HsmRegistry::Find(std::string_view name) const {
  const ScopedSharedLock lock(mutex_);
  const auto found = devices_.find(name);
  return found == devices_.end() ? nullptr : found->second;
}

std::vector<std::string> HsmRegistry::Names() const {
  const ScopedSharedLock lock(mutex_);
  std::vector<std::string> names;
  names.reserve(devices_.size());
  for (const auto& [name, device] : devices_) {
    names.push_back(name);
  }
  return names;
}

std::vector<HsmStatus> HsmRegistry::Statuses() const {
  std::vector<std::shared_ptr<GuardedDevice>> devices;
  {
    const ScopedSharedLock lock(mutex_);
    for (const auto& [name, device] : devices_) {
      devices.push_back(device);
    }
  }
  std::vector<HsmStatus> statuses;
  statuses.reserve(devices.size());
  for (const std::shared_ptr<GuardedDevice>& device : devices) {
    statuses.push_back(device->State());
  }
  return statuses;
}

}  // namespace kms
