// SPDX-License-Identifier: Apache-2.0
// Restore a key from the blob of a backup, of this service, Vault or OpenBao (transit-api 6.23).
#pragma once

#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"

namespace kms {

struct RestoreKeyRequest {
  std::string_view blob;                 // base64
  std::optional<std::string_view> name;  // absent: the one in the blob
  bool force = false;                    // replaces a key of that name
};

// All versions or none. Encryptions that were counted elsewhere are not in a blob: rotate a key
// that was used much. Errors: kAlreadyExists `key "NAME" already exists`; kInvalidArgument "'backup'
// must be supplied", "key names cannot be paths", base64 and those of DecodeKeyBackup; store errors.
// A commit whose outcome is unknown is reread before answering.
Result<KeyHandle> RestoreKey(Environment& environment, const RestoreKeyRequest& request);

}  // namespace kms
