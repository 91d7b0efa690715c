// SPDX-License-Identifier: Apache-2.0
// Import a version of an imported key, or the private half that one lacks (transit-api 6.22).
#pragma once

#include <cstdint>
#include <optional>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"
#include "kms/operations/environment.h"
#include "kms/operations/imported_material.h"

namespace kms {

struct ImportVersionRequest {
  ImportSource source;
  // The version that gets its private half. Absent: a new version is appended, unless the latest
  // one is public-only and this is its private half.
  std::optional<std::int64_t> version;
};

struct ImportVersionOutcome {
  KeyHandle key;
  KeyVersionNumber version = 0;
};

// Any thread; asks the HSM.
// Errors, kInvalidArgument: "no key found with name N; to import a new key, use the import/
// endpoint", "the import_version endpoint can only be used with an imported key", "import_version
// cannot be used on keys with convergent encryption enabled"; with a version "no such key version",
// "provided type does not support importing key versions", "cannot add a public key to a key
// version that already has a public key set", "private key imported, key version cannot be
// updated", "cannot import key, key pair does not match"; "a derived key cannot be imported by its
// public half alone"; those of ReadImport and CheckUsable. kConflict when the key was changed by
// others all the while; store errors.
Result<ImportVersionOutcome> ImportVersion(Environment& environment, MasterKeyDevice& device,
                                           const KeyName& name,
                                           const ImportVersionRequest& request);

}  // namespace kms
