// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/wrapping_key_device.h"

#include <string>

namespace kms {

Result<std::shared_ptr<GuardedDevice>> FindWrappingKeyDevice(const Environments& environments,
                                                             Environment& environment) {
  for (const std::string& hsm : environments.MembersOf(environment.identity().name)) {
    if (std::shared_ptr<GuardedDevice> device = environments.hsms().Find(hsm)) {
      return device;
    }
  }
  return Unavailable("no HSM of the environment is configured");
}

}  // namespace kms
