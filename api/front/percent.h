// SPDX-License-Identifier: Apache-2.0
// Percent escapes of RFC 3986.
#pragma once

#include <string_view>

namespace kms::api {

// The value of a hexadecimal digit, -1 for any other byte.
constexpr int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

// The byte (0 to 255) of the escape that starts `text`; -1 unless it starts with one.
constexpr int DecodeEscape(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') {
    return -1;
  }
  const int high = HexDigit(text[1]);
  const int low = HexDigit(text[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace kms::api
