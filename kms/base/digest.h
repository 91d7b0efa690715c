// SPDX-License-Identifier: Apache-2.0
// SHA-256 with a context that each thread keeps, for chains, token look-up and bindings.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "kms/base/bytes.h"

namespace kms {

inline constexpr std::size_t kSha256Bytes = 32;
using Sha256Digest = std::array<std::uint8_t, kSha256Bytes>;

// FIPS 180-4. Any thread; no allocation after a thread's first call.
Sha256Digest Sha256(ByteView message);
// The digest of the parts' concatenation.
Sha256Digest Sha256(std::initializer_list<ByteView> parts);

}  // namespace kms
