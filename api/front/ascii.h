// SPDX-License-Identifier: Apache-2.0
// ASCII without locale: what HTTP compares and trims.
#pragma once

#include <cstddef>
#include <string_view>

namespace kms::api {

constexpr char ToLower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
}

constexpr bool IsAlphanumeric(char byte) {
  return (byte >= '0' && byte <= '9') || (ToLower(byte) >= 'a' && ToLower(byte) <= 'z');
}

// `lower` is already in lower case.
constexpr bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (ToLower(text[i]) != lower[i]) {
      return false;
    }
  }
  return true;
}

constexpr bool IsBlank(char byte) { return byte == ' ' || byte == '\t'; }

constexpr std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && IsBlank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace kms::api
