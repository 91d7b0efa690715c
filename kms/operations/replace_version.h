// SPDX-License-Identifier: Apache-2.0
// Change one version of a key in place: what it gains is the other half of its pair or a
// certificate, never another key.
#pragma once

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"
#include "kms/operations/key_cache.h"

namespace kms {

// Stores `loaded` with `changed` in the place of the version of its number, in the key's entry and
// in its archive, all or nothing. That version is in the working set; the caller holds the key's
// write mutex. Errors: as StoreKey.
Result<KeyHandle> ReplaceVersion(Environment& environment, const LoadedKey& loaded,
                                 const KeyVersion& changed);

}  // namespace kms
