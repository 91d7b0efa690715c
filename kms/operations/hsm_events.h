// SPDX-License-Identifier: Apache-2.0
// What becomes of leases and tokens by themselves: recorded in the audit log, and told to
// operators. Private to Environments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/clock.h"
#include "kms/operations/environments.h"

namespace kms::internal {

struct HsmEvent {
  std::string_view operation;  // "lease-seal", "lease-unseal", "hsm-heal", "hsm-refused", …
  std::string_view environment;
  std::string_view hsm;    // empty: of the environment as a whole
  std::string problem;     // empty: none
  std::int64_t items = 0;  // wraps that were made
  bool alarms = false;     // an operator should hear of it at once
};

// Never waits and never fails: a seal is not put off for its record. Any thread.
void RecordHsmEvent(const EnvironmentsOptions& options, const Clock& clock, const HsmEvent& event);

}  // namespace kms::internal
