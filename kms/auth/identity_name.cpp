// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/identity_name.h"

#include <algorithm>

namespace kms {
namespace {

constexpr std::size_t kMaxNameBytes = 128;

char Lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool IsNameCharacter(char c) { return IsWordCharacter(c) || c == '-' || c == '.'; }

}  // namespace

Result<IdentityName> IdentityName::Parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes) {
    return InvalidArgument("invalid name: it must have 1 to 128 characters");
  }
  std::string name(text);
  std::ranges::transform(name, name.begin(), Lowered);
  if (!std::ranges::all_of(name, IsNameCharacter)) {
    return InvalidArgument("invalid name: letters, digits, '_', '-' and '.' are allowed");
  }
  if (!IsWordCharacter(name.front()) || !IsWordCharacter(name.back())) {
    return InvalidArgument("invalid name: it must begin and end with a letter, a digit or '_'");
  }
  return IdentityName(std::move(name));
}

}  // namespace kms
