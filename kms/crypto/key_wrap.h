// SPDX-License-Identifier: Apache-2.0
// AES key wrap with padding: RFC 5649, which is KWP of NIST SP 800-38F, 6.3.
#pragma once

#include <cstddef>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// The longest key that is wrapped or unwrapped here; an RSA-4096 PrivateKeyInfo has 2,376 bytes.
inline constexpr std::size_t kMaxWrappableKeyBytes = std::size_t{16} << 10U;

// Bytes of a wrapped key of `key_bytes` bytes: 8 more than the next multiple of 8.
constexpr std::size_t WrappedKeyBytes(std::size_t key_bytes) { return 8 + (key_bytes + 7) / 8 * 8; }

// `kek` has 16, 24 or 32 bytes, `key` 1 to kMaxWrappableKeyBytes; the initial value is the default
// A65959A6. Deterministic. Errors: kInvalidArgument (sizes), kInternal. Any thread.
Result<Bytes> WrapKeyPadded(ByteView kek, ByteView key);

// Errors: kInvalidArgument (size of `kek`); kDecryptionFailed "failed to unwrap the key: integrity
// check failed" for whatever WrapKeyPadded cannot have made, one text for every cause;
// kUnavailable, kInternal. Any thread.
Result<SecretBytes> UnwrapKeyPadded(ByteView kek, ByteView wrapped);

}  // namespace kms
