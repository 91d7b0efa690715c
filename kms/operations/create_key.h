// SPDX-License-Identifier: Apache-2.0
// Create a named key with its first version (transit-api 6.1).
#pragma once

#include <string>
#include <vector>

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
  std::int64_t key_size = 0;  // bytes of an hmac key; 0: the default
  // kHsm: the versions are made in a token and never leave it.
  KeyProtection protection = KeyProtection::kSoftware;
  std::vector<std::string> hsms;  // of kHsm: tokens to choose from, first of all the first
  std::string external_key_ref;   // of kExternal, whose type is that of the key it refers to
};

struct CreateKeyOutcome {
  KeyHandle key;
  bool already_existed = false;  // nothing was changed; `key` is the existing one
};

// Errors: kInvalidArgument with the texts of transit-api 6.1, and for what a key in an HSM cannot be;
// store errors; of keys in HSMs those of MakeResidentVersion and FindExternalKey. RSA takes up to
// seconds, during which other changes of the key do not wait. A commit whose outcome is unknown is reread before answering.
Result<CreateKeyOutcome> CreateKey(Environment& environment, const KeyName& name,
                                   const CreateKeyRequest& request);

}  // namespace kms
