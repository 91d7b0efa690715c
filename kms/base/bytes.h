// SPDX-License-Identifier: Apache-2.0
// Byte strings that hold no secret: views, vectors, conversions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kms {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

// Views of the same memory; nothing is copied, the argument must outlive the result.
inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes CopyOf(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

// Lower-case hexadecimal.
std::string HexEncode(ByteView bytes);

// Constant time in the contents; false at once for different lengths.
bool EqualInConstantTime(ByteView a, ByteView b);

}  // namespace kms
