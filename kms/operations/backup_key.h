// SPDX-License-Identifier: Apache-2.0
// Back up a whole key, every version of it, as a blob of plaintext key material (transit-api 6.23).
#pragma once

#include <string>

#include "kms/base/result.h"
#include "kms/keys/names.h"
#include "kms/operations/environment.h"

namespace kms {

struct BackupOutcome {
  std::string blob;  // base64; the caller wipes it
  KeyVersionNumber latest_version = 0;
};

// Records in the key that it was backed up. Errors: kNotFound `key "NAME" not found`;
// kPermissionDenied "exporting is disallowed on the policy", "plaintext backup is disallowed on the
// policy"; kInvalidArgument for a soft-deleted key; store errors.
Result<BackupOutcome> BackUpKey(Environment& environment, const KeyName& name);

}  // namespace kms
