// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/group_keys.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "kms/base/random.h"

namespace kms::internal {

namespace {

Uuid FirstMasterKeyId(const NewGroupRequest& request, std::string_view hsm) {
  return request.hsms.size() == 1 ? request.master_key_id
                                  : DeriveMasterKeyId(request.environment_id, hsm, 1);
}

// Makes master key and wrap of one token.
Status AddFirstWrap(const HsmAccess& access, const NewGroupRequest& request, const std::string& hsm,
                    NewGroup& made) {
  const Uuid& id = request.environment_id;
  const std::shared_ptr<GuardedDevice> device = KMS_TRY(access.Find(hsm));
  const MasterKeyRecord master = KMS_TRY(
      device->GenerateMasterKey(FirstMasterKeyId(request, hsm), 1,
                                MasterKeyLabel(request.environment, 1),
                                access.NextDeadline(*device)));
  const WrappedKey wrapped = KMS_TRY(WrapChecked(access, *device, master, id, 1, made.keys.at(1)));
  made.mutations.push_back(
      {.path = MasterPath(id, hsm, 1), .value = master.Encode(), .expected_revision = 0});
  made.mutations.push_back(
      {.path = WrappedPath(id, 1, hsm, 1), .value = wrapped.Encode(), .expected_revision = 0});
  return Ok();
}

}  // namespace

Result<std::shared_ptr<GuardedDevice>> HsmAccess::Find(std::string_view hsm) const {
  std::shared_ptr<GuardedDevice> device = hsms.Find(hsm);
  if (device == nullptr) {
    if (std::string why = hsms.WhySetAside(hsm); !why.empty()) {
      return Unavailable(std::move(why));
    }
    return Unavailable("HSM " + std::string(hsm) +
                       " is not configured: put it into the configuration file and reload it");
  }
  return device;
}

std::string MasterKeyLabel(std::string_view environment, MasterKeyVersion version) {
  return "kms/" + std::string(environment) + "/" + std::to_string(version);
}

Result<MasterKeyRecord> RecordToDestroy(const MasterKeyIdentity& key, MasterKeyRecord record) {
  const std::string label = MasterKeyLabel(key.environment, key.version);
  const bool right_id =
      key.version == 1 || record.id == DeriveMasterKeyId(key.environment_id, key.hsm, key.version,
                                                         key.losses);
  if (record.label == label && record.version == key.version && right_id) {
    return record;
  }
  return FailedPrecondition("the store's record of master key " + label + " in HSM " +
                            std::string(key.hsm) + " names another key, \"" + record.label + "\" (" +
                            record.id.ToString() +
                            "); nothing was destroyed: restore the store from a backup");
}

Result<WrappedKey> WrapChecked(const HsmAccess& access, GuardedDevice& device,
                               const MasterKeyRecord& master, const Uuid& environment_id,
                               EnvironmentKeyVersion version, const SecretBytes& key) {
  const Bytes context = EnvironmentKeyContext(environment_id, version);
  WrappedKey wrapped = KMS_TRY(device.Wrap(master, key, context, access.NextDeadline(device)));
  const Result<SecretBytes> opened =
      device.Unwrap(master, wrapped, context, access.NextDeadline(device));
  if (!opened.has_value() && opened.error().code != ErrorCode::kCorrupted) {
    return opened.error();
  }
  if (!opened.has_value() || !(*opened == key)) {
    return Unavailable("the HSM returned a wrapped key that does not open; nothing was stored");
  }
  return wrapped;
}

Result<NewGroup> MakeGroup(const HsmAccess& access, const NewGroupRequest& request) {
  NewGroup made;
  SecretBytes key = KMS_TRY(SecretBytes::OfSize(kEnvironmentKeyBytes));
  FillRandom(key.MutableView());
  made.group.key_checks.emplace(1, KMS_TRY(CheckOf(request.environment_id, key)));
  made.keys.emplace(1, std::move(key));
  std::optional<Error> away;
  for (const std::string& hsm : request.hsms) {
    const auto order = static_cast<std::uint32_t>(made.group.members.size());
    made.group.members.push_back({.hsm = hsm, .order = order});
    const Status added = AddFirstWrap(access, request, hsm, made);
    if (!added.has_value() && added.error().code != ErrorCode::kUnavailable) {
      return added.error();
    }
    if (!added.has_value()) {
      away = added.error();
    }
  }
  if (made.mutations.empty()) {
    return away ? *away : InvalidArgument("an environment needs at least one HSM");
  }
  std::ranges::sort(made.group.members, {}, &GroupMember::hsm);
  made.mutations.push_back({.path = GroupPath(request.environment_id),
                            .value = made.group.Encode(),
                            .expected_revision = 0});
  return made;
}

}  // namespace kms::internal
