// SPDX-License-Identifier: Apache-2.0
// The table of environments and its readers; the lease rounds.
#include "kms/operations/environments.h"

#include <algorithm>
#include <utility>

#include "kms/operations/environments_impl.h"

namespace kms {

namespace {

// A creation asks several tokens several times, and each may hang.
constexpr std::chrono::seconds kLongestTurn{60};

}  // namespace

Environments::Environments(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Environments::~Environments() = default;

std::shared_ptr<Environment> Environments::Find(std::string_view name) const {
  const ScopedSharedLock lock(impl_->table_mutex);
  const auto found = impl_->table.find(name);
  return found == impl_->table.end() ? nullptr : found->second->environment();
}

// Names do not nest, so the first prefix that is a name is the only one.
std::shared_ptr<Environment> Environments::FindByPath(std::string_view path,
                                                      std::string_view& rest) const {
  const ScopedSharedLock lock(impl_->table_mutex);
  std::size_t end = 0;
  while (end < path.size()) {
    end = std::min(path.find('/', end + 1), path.size());
    const auto found = impl_->table.find(path.substr(0, end));
    if (found != impl_->table.end()) {
      rest = path.substr(std::min(end + 1, path.size()));
      return found->second->environment();
    }
  }
  return nullptr;
}

std::vector<std::shared_ptr<Environment>> Environments::List() const {
  const ScopedSharedLock lock(impl_->table_mutex);
  std::vector<std::shared_ptr<Environment>> environments;
  environments.reserve(impl_->table.size());
  for (const auto& [name, slot] : impl_->table) {
    environments.push_back(slot->environment());
  }
  return environments;
}

std::shared_ptr<Environment> Environments::sys() const { return impl_->sys->environment(); }

HsmRegistry& Environments::hsms() const { return impl_->hsms; }

HsmRandomness& Environments::hsm_randomness() const { return impl_->hsm_randomness; }

void Environments::ProveLeases(std::string_view hsm) {
  for (const Impl::SlotHandle& slot : impl_->AllSlots()) {
    slot->ProveBy(hsm);
  }
}

void Environments::SealExpired() {
  for (const Impl::SlotHandle& slot : impl_->AllSlots()) {
    slot->SealIfExpired();
  }
}

std::chrono::milliseconds Environments::ShortestLeaseInterval() const {
  std::chrono::milliseconds shortest = impl_->options.lease_interval;
  for (const Impl::SlotHandle& slot : impl_->AllSlots()) {
    shortest = std::min(shortest, slot->lease().interval);
  }
  return shortest;
}

std::vector<EnvironmentStatus> Environments::Statuses() const {
  std::vector<EnvironmentStatus> statuses;
  for (const Impl::SlotHandle& slot : impl_->AllSlots()) {
    statuses.push_back(slot->Describe());
  }
  return statuses;
}

Status Environments::Seal(std::string_view name, std::string reason) {
  const Impl::SlotHandle slot = impl_->FindSlot(name);
  if (slot == nullptr) {
    return NotFound("no such environment");
  }
  slot->HoldSealed(std::move(reason));
  return Ok();
}

Status Environments::Unseal(std::string_view name) {
  const Impl::SlotHandle slot = impl_->FindSlot(name);
  if (slot == nullptr) {
    return NotFound("no such environment");
  }
  return slot->Release();
}

Environments::Impl::SlotHandle Environments::Impl::FindSlot(std::string_view name) const {
  const ScopedSharedLock lock(table_mutex);
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

Result<Environments::Impl::SlotHandle> Environments::Impl::FindAnySlot(
    std::string_view name) const {
  SlotHandle slot = name == kSysName ? sys : FindSlot(name);
  if (slot == nullptr) {
    return NotFound("no such environment");
  }
  return slot;
}

Environments::Impl::SlotHandle Environments::Impl::MakeSlot(EnvironmentIdentity identity,
                                                            EnvironmentSettings settings) const {
  auto environment = std::make_shared<Environment>(std::move(identity), std::move(settings), store,
                                                   clock, options.limits);
  if (options.audit != nullptr) {
    environment->set_audit(*options.audit);
  }
  environment->set_hsms(hsms);
  return std::make_shared<Slot>(std::move(environment), store, hsms, clock, options);
}

void Environments::Impl::AddSlot(const SlotHandle& slot) {
  const ScopedLock lock(table_mutex);
  table.insert_or_assign(slot->environment()->identity().name, slot);
}

Environments::Impl::SlotHandle Environments::Impl::TakeSlot(std::string_view name) {
  const ScopedLock lock(table_mutex);
  const auto found = table.find(name);
  if (found == table.end()) {
    return nullptr;
  }
  SlotHandle slot = std::move(found->second);
  table.erase(found);
  return slot;
}

std::vector<Environments::Impl::SlotHandle> Environments::Impl::AllSlots() const {
  std::vector<SlotHandle> slots{sys};
  const ScopedSharedLock lock(table_mutex);
  for (const auto& [name, slot] : table) {
    slots.push_back(slot);
  }
  return slots;
}

Result<SecretBytes> Environments::Impl::RandomOfAny(std::size_t size, Deadline deadline) const {
  Error failure = Unavailable("no HSM is configured");
  for (const std::string& hsm : sys->Ranked()) {
    const Result<std::shared_ptr<GuardedDevice>> device = Access().Find(hsm);
    auto random = device.has_value() ? (*device)->Random(size, deadline)
                                     : Result<SecretBytes>(device.error());
    if (random.has_value()) {
      return random;
    }
    failure = std::move(random).error();
  }
  return failure;
}

Environments::Impl::NameTurn::~NameTurn() {
  if (impl_ == nullptr) {
    return;
  }
  {
    const ScopedLock lock(impl_->life_mutex);
    impl_->busy_names.erase(name_);
  }
  impl_->turn_ended.notify_all();
}

Result<Environments::Impl::NameTurn> Environments::Impl::TakeTurn(const std::string& name) {
  const auto give_up = std::chrono::steady_clock::now() + kLongestTurn;
  const ScopedLock lock(life_mutex);
  const auto in_the_way = [&name](const std::string& busy) {
    return busy == name || busy.starts_with(name + "/") || name.starts_with(busy + "/");
  };
  while (std::ranges::any_of(busy_names, in_the_way)) {
    if (turn_ended.wait_until(life_mutex, give_up) == std::cv_status::timeout) {
      return Unavailable("environment " + name + " is being changed by another; retry later");
    }
  }
  busy_names.insert(name);
  return NameTurn(*this, name);
}

Status Environments::Impl::CheckFree(const std::string& name) const {
  const ScopedSharedLock lock(table_mutex);
  for (const auto& [used, slot] : table) {
    const std::string message = "path is already in use at " + used + "/";
    if (used == name) {
      return MakeError(ErrorCode::kAlreadyExists, message);
    }
    if (name.starts_with(used + "/") || used.starts_with(name + "/")) {
      return InvalidArgument(message);
    }
  }
  return Ok();
}

}  // namespace kms
