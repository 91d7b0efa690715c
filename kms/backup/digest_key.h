// SPDX-License-Identifier: Apache-2.0
// The key of the digest over the store's entries: sealed in `sys` at "digest-key".
#pragma once

#include <optional>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/sealed_store.h"

namespace kms {

// nullopt when there is none yet. Errors: kCorrupted, those of `sys`.
Result<std::optional<SecretBytes>> ReadDigestKey(SealedStore& sys);
// Stores the first one, of SetDigest::kKeyBytes. Errors: kConflict, those of `sys`.
Status StoreDigestKey(SealedStore& sys, const SecretBytes& key);

}  // namespace kms
