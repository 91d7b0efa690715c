// SPDX-License-Identifier: Apache-2.0
// The table of environments and its readers; the lease rounds.
#include "kms/operations/environments.h"

#include <algorithm>
#include <utility>

#include "kms/operations/environments_impl.h"

namespace kms {

namespace {

// Once an HSM call was not answered in a lease round, the others wait this fraction of the timeout,
// so that a silent HSM does not stretch the round by a timeout for every environment.
constexpr int kHastyFraction = 10;

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

MasterKeyDevice& Environments::device() const { return impl_->device; }

HsmRandomness& Environments::hsm_randomness() const { return impl_->hsm_randomness; }

void Environments::ProveLeases() {
  internal::CallTimeout timeout = impl_->options.hsm_timeout;
  for (const Impl::SlotHandle& slot : impl_->AllSlots()) {
    const Status proof = slot->Prove(timeout);
    if (!proof.has_value() && proof.error().code == ErrorCode::kUnavailable) {
      timeout = impl_->options.hsm_timeout / kHastyFraction;
      // With many environments a silent HSM makes a round long: none outlives its lease in it.
      impl_->SealExpired(proof.error());
    }
  }
}

std::vector<EnvironmentStatus> Environments::Statuses() const {
  std::vector<EnvironmentStatus> statuses;
  for (const Impl::SlotHandle& slot : impl_->AllSlots()) {
    statuses.push_back(slot->Describe());
  }
  return statuses;
}

Status Environments::Seal(std::string_view name, std::string reason) {
  const ScopedLock life(impl_->life_mutex);
  const Impl::SlotHandle slot = impl_->FindSlot(name);
  if (slot == nullptr) {
    return NotFound("no such environment");
  }
  slot->HoldSealed(std::move(reason));
  return Ok();
}

Status Environments::Unseal(std::string_view name) {
  const ScopedLock life(impl_->life_mutex);
  const Impl::SlotHandle slot = impl_->FindSlot(name);
  if (slot == nullptr) {
    return NotFound("no such environment");
  }
  return slot->Release(impl_->options.hsm_timeout);
}

void Environments::Impl::SealExpired(const Error& error) const {
  for (const SlotHandle& slot : AllSlots()) {
    slot->SealIfExpired(error);
  }
}

Environments::Impl::SlotHandle Environments::Impl::FindSlot(std::string_view name) const {
  const ScopedSharedLock lock(table_mutex);
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

Environments::Impl::SlotHandle Environments::Impl::MakeSlot(EnvironmentIdentity identity,
                                                            EnvironmentSettings settings) const {
  auto environment = std::make_shared<Environment>(std::move(identity), std::move(settings), store,
                                                   clock, options.limits);
  if (options.audit != nullptr) {
    environment->set_audit(*options.audit);
  }
  return std::make_shared<Slot>(std::move(environment), store, device, clock, options);
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
