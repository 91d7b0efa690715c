// SPDX-License-Identifier: Apache-2.0
// HKDF-SHA-256 (RFC 5869).
#pragma once

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// Returns `size` bytes (1..8160); `input_key` is not empty, salt and info may be. Errors:
// kInvalidArgument (sizes), kUnavailable, kInternal.
Result<SecretBytes> HkdfSha256(ByteView input_key, ByteView salt, ByteView info, std::size_t size);

}  // namespace kms
