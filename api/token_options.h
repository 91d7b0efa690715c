// SPDX-License-Identifier: Apache-2.0
// From the operator's words to the HSM layer's.
#pragma once

#include "api/config/config.h"
#include "pkcs11/token_options.h"

namespace kms::api {

// "file:PATH" and its like; the configuration has checked the form.
pkcs11::PinSource PinSourceFrom(const SecretReference& reference);

pkcs11::TokenOptions TokenOptionsFrom(const HsmConfig& config);

}  // namespace kms::api
