// SPDX-License-Identifier: Apache-2.0
#include "kms/backup/sys_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kms/master/guarded_device.h"
#include "kms/master/oldest_key.h"
#include "kms/operations/environment_record.h"

namespace kms {

namespace {

constexpr std::string_view kRootPath = "root";

}  // namespace

std::vector<StoredWrap> WrapsOf(const GroupMaterial& material, EnvironmentKeyVersion version) {
  std::vector<StoredWrap> wraps;
  for (const auto& [hsm, member] : material.members) {
    const auto of_version = member.wraps.find(version);
    if (of_version == member.wraps.end()) {
      continue;
    }
    for (const auto& [master_version, wrapped] : of_version->second) {
      const auto master = member.masters.find(master_version);
      if (master != member.masters.end()) {
        wraps.push_back({.hsm = hsm, .master = master->second, .wrapped = wrapped});
      }
    }
  }
  std::ranges::sort(wraps, std::greater{},
                    [](const StoredWrap& wrap) { return wrap.master.version; });
  return wraps;
}

Result<SecretBytes> UnwrapByAnyToken(HsmRegistry& hsms, const Uuid& environment_id,
                                     EnvironmentKeyVersion version,
                                     const std::vector<StoredWrap>& wraps,
                                     std::chrono::milliseconds timeout) {
  const Bytes context = EnvironmentKeyContext(environment_id, version);
  Error last = FailedPrecondition(
      "none of the HSM tokens that are configured opens the environment key; they must have the "
      "names that they had when it was wrapped");
  for (const StoredWrap& wrap : wraps) {
    const std::shared_ptr<GuardedDevice> device = hsms.Find(wrap.hsm);
    if (device == nullptr) {
      continue;
    }
    Result<SecretBytes> key =
        device->Unwrap(wrap.master, wrap.wrapped, context,
                       device->DeadlineFrom(std::chrono::steady_clock::now(), timeout));
    if (key.has_value()) {
      return key;
    }
    last = key.error();
  }
  return last;
}

Result<std::optional<Uuid>> ReadSysId(Store& store) {
  const std::optional<StoredValue> stored = KMS_TRY(store.Get(kRootPath));
  if (!stored) {
    return std::optional<Uuid>();
  }
  const RootRecord root = KMS_TRY(RootRecord::Decode(stored->value));
  return root.stage == RootStage::kInitialised ? std::optional(root.sys_id) : std::nullopt;
}

Result<std::unique_ptr<SysStore>> SysStore::Open(Store& store, HsmRegistry& hsms,
                                                 std::chrono::milliseconds timeout) {
  const std::optional<Uuid> id = KMS_TRY(ReadSysId(store));
  if (!id) {
    return std::unique_ptr<SysStore>();
  }
  auto sys = std::make_unique<SysStore>(Private{}, store, *id);
  const GroupMaterial material = KMS_TRY(ReadGroupMaterial(store, *id));
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  for (const EnvironmentKeyVersion version : material.Versions()) {
    keys.emplace(version,
                 KMS_TRY(UnwrapByAnyToken(hsms, *id, version, WrapsOf(material, version), timeout)));
  }
  // Whoever puts back a key that was forgotten must not have it seal what is to show such things.
  const auto oldest = KMS_TRY(ReadOldestKey(store, *id, keys));
  keys.erase(keys.begin(), keys.lower_bound(oldest.value_or(1)));
  KMS_TRY(sys->keys_.Replace(std::move(keys)));
  return sys;
}

}  // namespace kms
