// SPDX-License-Identifier: Apache-2.0
// Create a named key with its first version (transit-api 6.1).
#pragma once

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"

namespace kms {

struct CreateKeyRequest {
  KeyType type = KeyType::kAes256Gcm96;
  bool derived = false;
  bool convergent_encryption = false;
  bool exportable = false;
  bool allow_plaintext_backup = false;
  std::int64_t auto_rotate_period_seconds = 0;
};

struct CreateKeyOutcome {
  KeyHandle key;
  bool already_existed = false;  // nothing was changed; `key` is the existing one
};

// Errors: kInvalidArgument "auto rotate period must be 0 to disable or at least an hour",
// "convergent encryption requires derivation to be enabled"; store errors.
// A commit whose outcome is unknown is reread before answering.
Result<CreateKeyOutcome> CreateKey(Environment& environment, const KeyName& name,
                                   const CreateKeyRequest& request);

}  // namespace kms
