// SPDX-License-Identifier: Apache-2.0
// What one environment says of itself and of its members, and whom to ask.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "kms/base/random.h"
#include "kms/operations/environment_slot.h"

namespace kms {

std::string_view MemberStateName(MemberState state) {
  switch (state) {
    case MemberState::kUnknown: return "unknown";
    case MemberState::kReady: return "ready";
    case MemberState::kAway: return "away";
    case MemberState::kHealing: return "healing";
    case MemberState::kRefused: return "refused";
  }
  return {};
}

namespace internal {

namespace {

std::int64_t AgeMs(SteadyTime then, SteadyTime now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - then).count();
}

// Small for those that are asked often: exponential with the weight as its rate, so that of two
// each comes first as often as its share.
double Lot(std::uint32_t weight) {
  std::array<std::uint8_t, 4> random{};
  FillRandom(random);
  std::uint32_t number = 0;
  for (const std::uint8_t byte : random) {
    number = number << 8U | byte;
  }
  const double uniform = (static_cast<double>(number) + 1.0) / 4294967297.0;
  return -std::log(uniform) / static_cast<double>(weight);
}

// 0: asked first. Those that must not be used are asked when nobody else opens anything.
int Standing(MemberState state, const std::shared_ptr<GuardedDevice>& device) {
  if (state == MemberState::kRefused) {
    return 3;
  }
  if (device == nullptr || !device->WouldTry()) {
    return 2;
  }
  const bool well = state == MemberState::kReady || state == MemberState::kUnknown;
  return well && device->Statistics().state == DeviceState::kReady ? 0 : 1;
}

const MasterKeyRecord* NewestMaster(const MemberMaterial* member) {
  return member == nullptr || member->masters.empty() ? nullptr : &member->masters.rbegin()->second;
}

}  // namespace

std::uint32_t MissingWraps(const GroupMaterial& material, std::string_view hsm) {
  const MemberMaterial* const member = material.Find(hsm);
  std::uint32_t missing = 0;
  for (const EnvironmentKeyVersion version : material.Versions()) {
    const bool wrapped =
        member != nullptr && member->FindWrap(version, material.group.current_master) != nullptr;
    missing += wrapped ? 0U : 1U;
  }
  return missing;
}

bool LacksAnything(const GroupMaterial& material, std::string_view hsm) {
  return MissingWraps(material, hsm) != 0 ||
         material.group.key_checks.size() < material.Versions().size();
}

MaterialHandle EnvironmentSlot::material() const {
  const ScopedLock lock(mutex_);
  return material_;
}

Result<MemberState> EnvironmentSlot::StateOf(std::string_view hsm) const {
  const ScopedLock lock(mutex_);
  if (material_ == nullptr || material_->group.Find(hsm) == nullptr) {
    return NotFound("HSM " + std::string(hsm) + " opens no key of this environment");
  }
  const auto found = members_.find(hsm);
  return found == members_.end() ? MemberState::kUnknown : found->second.state;
}

std::vector<std::string> EnvironmentSlot::Ranked() const {
  const MaterialHandle known = material();
  if (known == nullptr) {
    return {};
  }
  std::vector<std::tuple<int, std::uint32_t, double, std::string>> lots;
  for (const GroupMember& member : known->group.members) {
    const MemberState state = StateOf(member.hsm).value_or(MemberState::kUnknown);
    lots.emplace_back(Standing(state, access_.hsms.Find(member.hsm)), member.order,
                      Lot(member.weight), member.hsm);
  }
  std::ranges::sort(lots);
  std::vector<std::string> order;
  order.reserve(lots.size());
  for (auto& lot : lots) {
    order.push_back(std::move(std::get<std::string>(lot)));
  }
  return order;
}

EnvironmentStatus EnvironmentSlot::Describe() const {
  EnvironmentStatus status;
  status.name = environment_->identity().name;
  status.reason = environment_->seal_reason();
  status.sealed = environment_->sealed();
  const LeaseSettings times = lease();
  status.lease_interval_ms = times.interval.count();
  if (times.grace != kLeaseForever) {
    status.lease_grace_ms = times.grace.count();
  }
  const ScopedLock lock(mutex_);
  const SteadyTime now = clock_.SteadyNow();
  status.last_seal = last_seal_;
  if (proven_) {
    status.lease_age_ms = AgeMs(*proven_, now);
  }
  if (material_ == nullptr) {
    return status;
  }
  status.master_key_version = material_->group.current_master;
  status.environment_key_versions = material_->Versions();
  status.environment_key_version = status.environment_key_versions.back();
  for (const GroupMember& member : material_->group.members) {
    MemberStatus one{.hsm = member.hsm, .order = member.order, .weight = member.weight};
    if (const auto found = members_.find(member.hsm); found != members_.end()) {
      one.state = found->second.state;
      one.reason = found->second.reason;
      if (found->second.proven) {
        one.proof_age_ms = AgeMs(*found->second.proven, now);
      }
    }
    const MemberMaterial* const material = material_->Find(member.hsm);
    if (const MasterKeyRecord* const newest = NewestMaster(material)) {
      one.master_key_label = newest->label;
    }
    if (material != nullptr) {
      for (const auto& [version, master] : material->masters) {
        one.master_versions.push_back(version);
      }
    }
    one.missing_wraps = MissingWraps(*material_, member.hsm);
    if (status.master_key_label.empty()) {
      status.master_key_label = one.master_key_label;
    }
    const WrappedKey* const wrap =
        material == nullptr ? nullptr : material->FindWrap(status.environment_key_version);
    if (wrap != nullptr && status.wrap_mechanism.empty()) {
      status.wrap_mechanism = WrapMechanismName(wrap->mechanism);
    }
    status.members.push_back(std::move(one));
  }
  return status;
}

}  // namespace internal

}  // namespace kms
