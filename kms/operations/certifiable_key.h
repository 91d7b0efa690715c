// SPDX-License-Identifier: Apache-2.0
// What certificates, requests for them and key agreement ask of a key before they use a version.
#pragma once

#include <cstdint>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"

namespace kms {

// That `key`, nullptr when there is none of that name, is a signing key that does not derive
// (transit-api 6.26). Errors, kInvalidArgument: "key with provided name 'N' not found", "key type
// 'T' does not support signing", "operation not supported for keys with derivation enabled"; as
// CheckUsable.
Status CheckCertifiable(const Key* key, const KeyName& name);

// A version of the working set; 0 is the latest. Errors: kInvalidArgument "no such key version".
Result<const KeyVersion*> FindVersionOrLatest(const Key& key, std::int64_t version);

}  // namespace kms
