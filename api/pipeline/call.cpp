// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/call.h"

#include <utility>

#include "kms/auth/acl.h"

namespace kms::api {

bool Call::May(Capability capability) const {
  if (principal == nullptr) {
    return false;
  }
  return principal->is_root || principal->acl->Decide(policy_path, capability).allowed;
}

LoginOrigin Call::Origin() const {
  return {.address = client_address,
          .certificates = request.certificates != nullptr ? &request.certificates->chain : nullptr};
}

Status Call::BeginLogin(std::string_view name) {
  login_name = auth_mount->path + "/" + std::string(name);
  const auto wait =
      services.limits.logins.RefusalByName(client_address, login_name, services.clock.SteadyNow());
  if (!wait) {
    return Ok();
  }
  retry_after = *wait;
  return MakeError(ErrorCode::kResourceExhausted,
                   "too many failed logins for this name; wait and try again");
}

}  // namespace kms::api
