// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/wrapping_key_device.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

#include "kms/operations/wrapping_key.h"

namespace kms {

namespace {

// Empty when no token of the group made it.
std::string MakerOf(const GroupMaterial& material, const ImportKeyRecord& key) {
  for (const GroupMember& one : material.group.members) {
    const MemberMaterial* const member = material.Find(one.hsm);
    if (member != nullptr && IsOfSameToken(*member, key)) {
      return one.hsm;
    }
  }
  return {};
}

// Always the same one, so that an interrupted making goes on in the same token.
std::string FirstOf(const GroupMaterial& material) {
  return std::ranges::min_element(
             material.group.members, {},
             [](const GroupMember& one) { return std::tuple(one.order, one.hsm); })
      ->hsm;
}

}  // namespace

bool IsOfSameToken(const MemberMaterial& member, const ImportKeyRecord& key) {
  return std::ranges::any_of(member.masters, [&key](const auto& master) {
    return master.second.token_serial == key.token_serial &&
           master.second.token_label == key.token_label;
  });
}

Result<std::shared_ptr<GuardedDevice>> FindWrappingKeyDevice(const Environments& environments,
                                                             Environment& environment) {
  const GroupMaterial material = KMS_TRY(environments.ReadKeys(environment.identity().name));
  const std::optional<ImportKeyRecord> record = KMS_TRY(FindWrappingKeyRecord(environment));
  std::string hsm = record ? MakerOf(material, *record) : std::string();
  if (hsm.empty()) {
    hsm = FirstOf(material);
  }
  std::shared_ptr<GuardedDevice> device = environments.hsms().Find(hsm);
  if (device == nullptr) {
    return Unavailable("HSM " + hsm +
                       ", which has the wrapping key of the environment, is not "
                       "configured");
  }
  return device;
}

}  // namespace kms
