// SPDX-License-Identifier: Apache-2.0
// What the service says at its start of environments that nobody could open without their HSMs.
#pragma once

#include <string>

#include "kms/operations/environments.h"

namespace kms::api {

// One sentence that names them; empty when there are none. `sys` is one of them.
std::string RecoveryNotice(const Environments& environments);

}  // namespace kms::api
