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
  bool may_be_forever = false;
};

struct ConfigField {
  std::string_view section;
  std::string_view key;
  std::variant<TextKind, SecretKind, BoolKind, CountKind, DurationKind> kind;
  std::string_view comment;
};

// Grouped by section, in the order they are printed. The rows of "hsm" are those of each token of
// "hsms" too, save the ones that IsOfEveryToken names.
std::span<const ConfigField> ConfigFields();
inline constexpr std::string_view kHsmSection = "hsm";
inline constexpr std::string_view kHsmsSection = "hsms";
bool IsOfEveryToken(std::string_view hsm_key);

// "250ms", "5s", "10m", "1h", "30d". Errors: kInvalidArgument.
Result<Milliseconds> ParseDuration(std::string_view text);
// Reads back as `duration`; "forever" for kForever.
std::string FormatDuration(Milliseconds duration);

}  // namespace kms::api
