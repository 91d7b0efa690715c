// SPDX-License-Identifier: Apache-2.0
// Import a named key whose material comes from a caller (transit-api 6.21).
#pragma once

#include <cstdint>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"
#include "kms/operations/environment.h"
#include "kms/operations/imported_material.h"

namespace kms {

struct ImportKeyRequest {
  KeyType type = KeyType::kAes256Gcm96;
  ImportSource source;
  bool derived = false;
  bool exportable = false;
  bool allow_plaintext_backup = false;
  bool allow_rotation = false;  // later versions may be made here
  std::int64_t auto_rotate_period_seconds = 0;
};

// Stores the material as version 1 of a new key. Any thread; asks the HSM.
// Errors, kInvalidArgument unless noted: "allow_rotation must be set to true if auto-rotation is
// enabled", "auto rotate period must be 0 to disable or at least an hour", "key derivation and
// convergent encryption not supported for keys of type T", "a derived key cannot be imported by its
// public half alone", those of ReadImport; as StoreImportedKey.
Result<KeyHandle> ImportKey(Environment& environment, MasterKeyDevice& device, const KeyName& name,
                            const ImportKeyRequest& request);

// That name is free now: kAlreadyExists "the import path cannot be used with an existing key; use
// import-version to rotate an existing imported key".
Status CheckImportName(Environment& environment, const KeyName& name);

// Stores `version` as the first of a new key with this policy, whose name, type and settings are
// set; the rest is made here. Errors: as CheckImportName; store errors. A commit whose outcome is
// unknown is reread before answering.
Result<KeyHandle> StoreImportedKey(Environment& environment, KeyPolicy policy, KeyVersion version);

}  // namespace kms
