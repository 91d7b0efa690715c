// SPDX-License-Identifier: Apache-2.0
// HMAC of a caller's data under the HMAC key that every key version owns (transit-api 5.7, 6.15).
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/hash.h"
#include "kms/keys/key.h"

namespace kms {

// Errors: kInvalidArgument for a key that lives in an HSM: no HMAC key is with it.
Status CheckHasHmacKey(const KeyPolicy& policy);

// The version that `requested` means, 0 being the latest; lives as long as `key`.
// Errors, kInvalidArgument: "cannot generate HMAC: version is too old (disallowed by policy)",
// "key version does not exist (cannot be negative)", "key version does not exist; latest key
// version is N", "no such key version"; as CheckHasHmacKey.
Result<const KeyVersion*> ChooseHmacVersion(const Key& key, std::int64_t requested);

// Appends "vault:vN:" and the base64 of the HMAC. Errors: kInternal. Any thread.
Status Hmac(const KeyVersion& version, HashAlgorithm algorithm, ByteView input, std::string& hmac);

}  // namespace kms
