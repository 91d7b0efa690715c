// SPDX-License-Identifier: Apache-2.0
// Names that cannot be invalid: parsed once at the edge, trusted afterwards.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "kms/base/result.h"

namespace kms {

// A key's name: first and last character [A-Za-z0-9_], inner ones also '-' and '.'; 1..128 bytes
// (transit-api 3.1).
class KeyName {
 public:
  // Errors: kInvalidArgument "invalid key name".
  static Result<KeyName> Parse(std::string_view text);
  [[nodiscard]] const std::string& text() const { return text_; }
  friend auto operator<=>(const KeyName&, const KeyName&) = default;

 private:
  explicit KeyName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// An environment's name, which is its mount path: 1..8 segments of the key alphabet joined by '/',
// at most 256 bytes, no leading or trailing '/'. First segments "sys", "auth", "cubbyhole" and
// "identity" are reserved.
class EnvironmentName {
 public:
  // A single trailing '/' is accepted and dropped. Errors: kInvalidArgument.
  static Result<EnvironmentName> Parse(std::string_view text);
  [[nodiscard]] const std::string& text() const { return text_; }
  friend auto operator<=>(const EnvironmentName&, const EnvironmentName&) = default;

 private:
  explicit EnvironmentName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace kms
