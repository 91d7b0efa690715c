// SPDX-License-Identifier: Apache-2.0
// Rotate: add a version and make it latest; destroys nothing (transit-api 4.5, 6.6).
#pragma once

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Returns the rotated key. Errors: kNotFound "key not found"; store errors. A commit whose outcome
// is unknown is reread before answering, so a retried rotate never hides a version.
Result<KeyHandle> RotateKey(Environment& environment, const KeyName& name);

}  // namespace kms
