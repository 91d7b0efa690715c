// SPDX-License-Identifier: Apache-2.0
// The table of configuration keys: one row per key, read by parser and printer alike.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "api/config/config.h"

namespace kms::api {

template <typename T>
using ConfigMember = T& (*)(Config&);

struct TextKind {
  ConfigMember<std::string> member;
  std::string_view choices;  // "a|b|c"; empty: any text
};
struct SecretKind {
  ConfigMember<SecretReference> member;
};
struct BoolKind {
  ConfigMember<bool> member;
};
struct CountKind {
  ConfigMember<std::uint64_t> member;
  std::uint64_t minimum;
  std::uint64_t maximum;
};
struct DurationKind {
  ConfigMember<Milliseconds> member;
  Milliseconds minimum;
};

struct ConfigField {
  std::string_view section;
  std::string_view key;
  std::variant<TextKind, SecretKind, BoolKind, CountKind, DurationKind> kind;
  std::string_view comment;
};

// Grouped by section, in the order they are printed.
std::span<const ConfigField> ConfigFields();

// "250ms", "5s", "10m", "1h", "30d". Errors: kInvalidArgument.
Result<Milliseconds> ParseDuration(std::string_view text);
std::string FormatDuration(Milliseconds duration);

}  // namespace kms::api
