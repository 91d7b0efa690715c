// SPDX-License-Identifier: Apache-2.0
#include "api/audit_head.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "api/service_log.h"
#include "kms/audit/checkpoint.h"
#include "kms/master/guarded_device.h"
#include "kms/master/hsm_registry.h"

namespace kms::api {

namespace {

constexpr std::chrono::milliseconds kOneToken{1000};
constexpr std::chrono::milliseconds kAllTokens{2000};

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
  const Deadline end = std::chrono::steady_clock::now() + kAllTokens;
  Status signed_head = Unavailable("no HSM of the group of sys is there");
  for (const std::string& name : environments.MembersOf("sys")) {
    const std::shared_ptr<GuardedDevice> device = environments.hsms().Find(name);
    if (device == nullptr) {
      continue;
    }
    const Deadline deadline = std::min(end, std::chrono::steady_clock::now() + kOneToken);
    signed_head = SignBy(*device, audit, clock, deadline, store);
    if (signed_head.has_value()) {
      return;
    }
  }
  LogError("the audit log's head could not be signed", signed_head.error());
}

}  // namespace kms::api
