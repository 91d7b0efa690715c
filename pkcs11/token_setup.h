// SPDX-License-Identifier: Apache-2.0
// Making a SoftHSM token: for the embedded default and for tests, never for a real HSM.
#pragma once

#include <string>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

// Writes a SoftHSM configuration that keeps its tokens below `token_directory`, which is made with
// mode 0700. Errors: kFailedPrecondition.
Status WriteSoftHsmConfig(const std::string& path, const std::string& token_directory);

// Initialises a free slot as the token of `options` with both PINs, and returns its serial number.
// When a token of that label is there already, or its backup is, it is kept (and given the user PIN
// if it lacks one, for which `so_pin` must be that of its making).
// Initialises and finalises the module: call it in a process that has no Token. Sets SOFTHSM2_CONF.
// Errors: as Module::Load; kFailedPrecondition when two tokens bear the label; kUnavailable when
// another process does not finish logging in.
Result<std::string> CreateSoftHsmToken(const TokenOptions& options, const SecretBytes& pin,
                                       const SecretBytes& so_pin);

}  // namespace kms::pkcs11
