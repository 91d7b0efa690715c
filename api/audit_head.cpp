// SPDX-License-Identifier: Apache-2.0
#include "api/audit_head.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/service_log.h"
#include "kms/audit/checkpoint.h"
#include "kms/master/guarded_device.h"
#include "kms/master/hsm_registry.h"

namespace kms::api {

namespace {

constexpr std::chrono::milliseconds kUsualTime{1000};  // of a token that has none of its own

Status SignBy(MasterKeyDevice& device, ChainedAuditLog& audit, const Clock& clock,
              Deadline deadline, const std::optional<StoreStatement>& store) {
  const Bytes public_key = KMS_TRY(device.SigningPublicKey(deadline));
  const auto sign = [&](ByteView message) { return device.Sign(message, deadline); };
  return WriteCheckpoint(audit, audit.head(), {.sign = sign, .public_key = public_key}, clock.Now(),
                         deadline, store);
}

}  // namespace

void SignAuditHead(ChainedAuditLog& audit, const Environments& environments, const Clock& clock,
                   const std::optional<StoreStatement>& store) {
  Status signed_head = Unavailable("no HSM of the group of sys is there");
  // Each has a key of its own, so the same one signs as long as it answers, whatever the weights.
  std::vector<std::string> names = environments.MembersOf("sys");
  std::ranges::sort(names, {}, [&](const std::string& name) {
    const std::shared_ptr<GuardedDevice> device = environments.hsms().Find(name);
    return std::pair(device == nullptr || !device->WouldTry(), name);
  });
  for (const std::string& name : names) {
    const std::shared_ptr<GuardedDevice> device = environments.hsms().Find(name);
    if (device == nullptr) {
      continue;
    }
    const Deadline deadline = device->DeadlineFrom(std::chrono::steady_clock::now(), kUsualTime);
    signed_head = SignBy(*device, audit, clock, deadline, store);
    if (signed_head.has_value()) {
      return;
    }
  }
  LogError("the audit log's head could not be signed", signed_head.error());
}

}  // namespace kms::api
