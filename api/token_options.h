// SPDX-License-Identifier: Apache-2.0
// From the operator's words to the HSM layer's.
#pragma once

#include <string>
#include <vector>

#include "api/config/config.h"
#include "kms/base/secret_source.h"
#include "pkcs11/token_options.h"

namespace kms::api {

// "file:PATH" and its like; the configuration has checked the form.
SecretSource SecretSourceFrom(const SecretReference& reference);

pkcs11::TokenOptions TokenOptionsFrom(const HsmConfig& config);

// "NAME=value" for each entry of hsm.pass_environment: as it stands there, or of this process when
// only the name does; unset ones are left out.
std::vector<std::string> WorkerEnvironmentFrom(const HsmConfig& config);

}  // namespace kms::api
