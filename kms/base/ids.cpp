// SPDX-License-Identifier: Apache-2.0
#include "kms/base/ids.h"

#include <algorithm>
#include <charconv>

#include "kms/base/random.h"

namespace kms {

Uuid Uuid::Random() {
  Uuid uuid;
  FillRandom(uuid.bytes_);
  uuid.bytes_[6] = static_cast<std::uint8_t>((uuid.bytes_[6] & 0x0fU) | 0x40U);
  uuid.bytes_[8] = static_cast<std::uint8_t>((uuid.bytes_[8] & 0x3fU) | 0x80U);
  return uuid;
}

Result<Uuid> Uuid::FromBytes(ByteView bytes) {
  if (bytes.size() != kBytes) {
    return InvalidArgument("an identifier has 16 bytes");
  }
  Uuid uuid;
  std::ranges::copy(bytes, uuid.bytes_.begin());
  return uuid;
}

Result<Uuid> Uuid::Parse(std::string_view text) {
  const Error malformed = InvalidArgument("malformed identifier");
  if (text.size() != 36) {
    return malformed;
  }
  Uuid uuid;
  std::size_t position = 0;
  for (std::uint8_t& byte : uuid.bytes_) {
    if (position == 8 || position == 13 || position == 18 || position == 23) {
      if (text[position] != '-') {
        return malformed;
      }
      ++position;
    }
    const char* begin = text.data() + position;
    const auto [end, code] = std::from_chars(begin, begin + 2, byte, 16);
    if (code != std::errc{} || end != begin + 2) {
      return malformed;
    }
    position += 2;
  }
  return uuid;
}

std::string Uuid::ToString() const {
  std::string text = HexEncode(bytes_);
  for (const unsigned dash : {8U, 13U, 18U, 23U}) {
    text.insert(dash, 1, '-');
  }
  return text;
}

}  // namespace kms
