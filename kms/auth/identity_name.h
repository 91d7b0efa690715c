// SPDX-License-Identifier: Apache-2.0
// IdentityName: the name of a policy, role, user or auth mount in its one canonical form (U6).
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "kms/base/result.h"

namespace kms {

// Lower-case letters, digits, '_', '-', '.'; begins and ends with a letter, digit or '_'; 1 to 128
// bytes. Upper-case letters are lowered, so that "Root" and "root" are one name; spaces, control
// bytes, '/' and everything outside ASCII are refused and never trimmed away.
class IdentityName {
 public:
  // Errors: kInvalidArgument "invalid name: …", without the name in it.
  static Result<IdentityName> Parse(std::string_view text);
  [[nodiscard]] const std::string& text() const { return text_; }
  friend auto operator<=>(const IdentityName&, const IdentityName&) = default;

 private:
  explicit IdentityName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace kms
