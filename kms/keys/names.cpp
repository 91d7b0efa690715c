// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/names.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace kms {

namespace {

constexpr std::size_t kMaxKeyNameBytes = 128;
constexpr std::size_t kMaxEnvironmentNameBytes = 256;
constexpr std::size_t kMaxSegments = 8;
constexpr std::string_view kReservedSegments[] = {"sys", "auth", "cubbyhole", "identity"};

bool IsWordCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// The alphabet of transit-api 3.1, without the limit on length.
bool IsName(std::string_view text) {
  return !text.empty() && IsWordCharacter(text.front()) && IsWordCharacter(text.back()) &&
         std::ranges::all_of(text,
                             [](char c) { return IsWordCharacter(c) || c == '-' || c == '.'; });
}

bool IsEnvironmentName(std::string_view text) {
  if (text.size() > kMaxEnvironmentNameBytes ||
      std::ranges::count(text, '/') >= static_cast<std::ptrdiff_t>(kMaxSegments)) {
    return false;
  }
  for (std::string_view rest = text;;) {
    const std::size_t slash = rest.find('/');
    if (!IsName(rest.substr(0, slash))) {
      return false;
    }
    if (slash == std::string_view::npos) {
      return true;
    }
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace

Result<KeyName> KeyName::Parse(std::string_view text) {
  if (text.size() > kMaxKeyNameBytes || !IsName(text)) {
    return InvalidArgument("invalid key name");
  }
  return KeyName(std::string(text));
}

Result<EnvironmentName> EnvironmentName::Parse(std::string_view text) {
  if (text.ends_with('/')) {
    text.remove_suffix(1);
  }
  if (!IsEnvironmentName(text)) {
    return InvalidArgument("invalid environment name");
  }
  const std::string_view first = text.substr(0, text.find('/'));
  if (std::ranges::find(kReservedSegments, first) != std::end(kReservedSegments)) {
    return InvalidArgument("reserved environment name");
  }
  return EnvironmentName(std::string(text));
}

}  // namespace kms
