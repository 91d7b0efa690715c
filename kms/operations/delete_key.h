// SPDX-License-Identifier: Apache-2.0
// Delete a key and every version of it (transit-api 6.4).
#pragma once

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Errors: kInvalidArgument "error deleting policy NAME: could not delete key; not found",
// "error deleting policy NAME: deletion is not allowed for this key"; store errors.
Status DeleteKey(Environment& environment, const KeyName& name);

}  // namespace kms
