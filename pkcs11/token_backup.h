// SPDX-License-Identifier: Apache-2.0
// The backup copy of a SoftHSM token directory: a process killed in C_Login leaves the token empty.
#pragma once

#include <string>

#include "kms/base/result.h"

namespace kms::pkcs11 {

// The directory that a SoftHSM configuration names. Errors: kFailedPrecondition.
Result<std::string> SoftHsmTokenDirectory(const std::string& softhsm_config);

// Makes `token_directory` durable and <state_directory>/backup a durable copy of it. Costs as much
// as what changed since the last call; the copy of a file stays whole until the new one is complete,
// and a file that was emptied keeps its last copy. The caller holds the login lock. Errors:
// kUnavailable.
Status BackUpTokens(const std::string& token_directory, const std::string& state_directory);

// Puts back every token.object that is empty or gone while the backup has it, and nothing else.
// The caller holds the login lock and the module is not initialised. Errors: kUnavailable.
Status RestoreEmptiedTokens(const std::string& token_directory,
                            const std::string& state_directory);

}  // namespace kms::pkcs11
