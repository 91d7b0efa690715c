// SPDX-License-Identifier: Apache-2.0
// Making a SoftHSM token: for the embedded default and for tests, never for a real HSM.
#pragma once

#include <string>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::pkcs11 {

// Writes a SoftHSM configuration that keeps its tokens below `token_directory`, which is made with
// mode 0700. Errors: kFailedPrecondition.
Status WriteSoftHsmConfig(const std::string& path, const std::string& token_directory);

// Initialises a free slot as the token `label` with both PINs, and returns its serial number. When
// a token of that label is there already, it is kept (and given the user PIN if it lacks one).
// Initialises and finalises the module: call it in a process that has no Token. Sets SOFTHSM2_CONF.
// Errors: as Module::Load; kFailedPrecondition when two tokens bear the label.
Result<std::string> CreateSoftHsmToken(const std::string& module_path,
                                       const std::string& softhsm_config, const std::string& label,
                                       const SecretBytes& pin, const SecretBytes& so_pin);

}  // namespace kms::pkcs11
