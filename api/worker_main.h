// SPDX-License-Identifier: Apache-2.0
// The children of kmsd: the only processes that load a PKCS#11 module.
#pragma once

#include <string_view>

#include "api/config/config.h"
#include "kms/base/result.h"

namespace kms::api {

inline constexpr std::string_view kHsmWorkerCommand = "hsm-worker";
inline constexpr std::string_view kCreateTokenCommand = "hsm-create-token";

// main of the process that serves one token to its parent over descriptor 3.
int HsmWorkerMain();

// Makes the SoftHSM token that `config` names, in a child process; success when it exists.
// Errors: kFailedPrecondition with what the child said.
Status CreateTokenInChild(const HsmConfig& config);

// main of that child: argv holds module, SoftHSM configuration, label and the PIN's file.
Status CreateTokenMain(int argc, char** argv);

}  // namespace kms::api
