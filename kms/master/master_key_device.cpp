// SPDX-License-Identifier: Apache-2.0
// Names of device states, for people and status pages.
#include "kms/master/master_key_device.h"

namespace kms {

std::string_view DeviceStateName(DeviceState state) {
  switch (state) {
    case DeviceState::kDown: return "down";
    case DeviceState::kReady: return "ready";
    case DeviceState::kLockedOut: return "locked_out";
    case DeviceState::kFatalConfig: return "fatal_config";
  }
  return "unknown";
}

}  // namespace kms
