// SPDX-License-Identifier: Apache-2.0
// HSM tokens and the environments they serve, as JSON for operators.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/master/hsm_registry.h"
#include "kms/operations/environments.h"

namespace kms::api {

// The state of a token that is in a group and not in the configuration.
inline constexpr std::string_view kAbsentState = "absent";

// An array of all environments with their groups; `sys` first.
void AppendEnvironments(const Environments& environments,
                        const std::vector<EnvironmentStatus>& statuses, std::string& out);

// One object: the token's state, what it says of itself if it serves, and its part in each
// environment. Asks the token, and waits for it until `deadline` at most.
void AppendHsm(const Environments& environments, const HsmStatus& status,
               const std::vector<EnvironmentStatus>& users, Deadline deadline, std::string& out);
// The same of a token that the configuration does not name, or that is set aside.
void AppendAbsentHsm(const HsmRegistry& hsms, std::string_view name,
                     const std::vector<EnvironmentStatus>& users, std::string& out);

// State and description alone: "device" of sys/hsm/status.
void AppendDevice(const Environments& environments, const HsmStatus& status, Deadline deadline,
                  std::string& out);

// Names of tokens that are in a group and that `configured` does not have; sorted.
std::vector<std::string> AbsentHsms(const std::vector<HsmStatus>& configured,
                                    const std::vector<EnvironmentStatus>& users);

// One object: interval, grace, age, members and the last sealing.
void AppendLease(const EnvironmentStatus& status, std::string& out);

// One member of a group as one object.
void AppendMember(const MemberStatus& member, std::string& out);

}  // namespace kms::api
