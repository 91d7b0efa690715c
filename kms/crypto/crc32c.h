// SPDX-License-Identifier: Apache-2.0
// CRC32C, with which callers check that their bytes arrived: an error-detecting code, no protection
// against whoever changes them on purpose.
#pragma once

#include <cstdint>

#include "kms/base/bytes.h"

namespace kms {

// Castagnoli's polynomial (RFC 3720, 12.1 and B.4; Google Cloud KMS uses it too). Any thread.
std::uint32_t Crc32c(ByteView bytes);

namespace internal {

// The two ways of computing it, for tests: the first works everywhere, the second where
// HasCrc32cInstruction says so.
std::uint32_t Crc32cByTable(ByteView bytes);
bool HasCrc32cInstruction();
std::uint32_t Crc32cByInstruction(ByteView bytes);

}  // namespace internal

}  // namespace kms
