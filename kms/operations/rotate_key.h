// SPDX-License-Identifier: Apache-2.0
// Rotate: add a version and make it latest; destroys nothing (transit-api 4.5, 6.6).
#pragma once

#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Errors: kInvalidArgument "refusing to use soft-deleted key", "imported key NAME does not allow
// rotation within Vault"; for an external key, which only RotateExternalKey rotates.
Status CheckMayRotate(const KeyPolicy& policy);

// Returns the rotated key. With `only_latest`, a key that has a later version than that already is
// returned as it is. RSA takes up to seconds, during which other changes of the key do not wait.
// Errors: kNotFound "key not found"; as CheckMayRotate; store errors. A commit whose outcome is
// unknown is reread before answering, so a retried rotate never hides a version.
Result<KeyHandle> RotateKey(Environment& environment, const KeyName& name,
                            std::optional<KeyVersionNumber> only_latest = std::nullopt);

// Adds a version of an external key that is another key in an HSM, of the same type. Errors:
// kInvalidArgument for a key that is not external or of another type; as FindExternalKey and above.
Result<KeyHandle> RotateExternalKey(Environment& environment, const KeyName& name,
                                    std::string_view external_key_ref);

}  // namespace kms
