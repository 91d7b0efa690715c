// SPDX-License-Identifier: Apache-2.0
// Batch tokens: the whole record sealed in the token itself, so that they cost the store nothing.
#pragma once

#include <optional>
#include <string_view>

#include "kms/base/secret_bytes.h"
#include "kms/identity/token_key.h"
#include "kms/identity/token_record.h"

namespace kms {

inline constexpr std::string_view kBatchTokenPrefix = "hvb.";

// Returns the token. Errors: kUnavailable (secret memory), kInternal. Any thread.
Result<SecretBytes> SealBatchToken(const TokenKey& key, const StoredToken& token);

// nullopt for anything SealBatchToken did not make under this key; says nothing of whether it is
// still good. Errors: kUnavailable, kInternal. Any thread.
Result<std::optional<StoredToken>> OpenBatchToken(const TokenKey& key, std::string_view token);

}  // namespace kms
