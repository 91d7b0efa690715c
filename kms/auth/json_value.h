// SPDX-License-Identifier: Apache-2.0
// JsonValue: JSON of strangers (tokens, key sets, discovery documents), read strictly (RFC 8259).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"

namespace kms {

struct JsonLimits {
  std::size_t max_bytes = std::size_t{16} << 10U;
  std::size_t max_depth = 16;
  std::size_t max_values = 4096;
};

struct JsonMember;

// Plain value.
struct JsonValue {
  enum class Kind : std::uint8_t { kNull, kBoolean, kInteger, kFraction, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  // Of a string its bytes, UTF-8, which may hold any control character that was escaped; of a
  // boolean "true" or "false", of an integer its decimal digits; empty for others.
  std::string text;
  std::int64_t integer = 0;         // kInteger
  std::vector<JsonValue> items;     // kArray
  std::vector<JsonMember> members;  // kObject; names are unique

  [[nodiscard]] bool IsString() const { return kind == Kind::kString; }
  [[nodiscard]] bool IsObject() const { return kind == Kind::kObject; }
  [[nodiscard]] bool IsArray() const { return kind == Kind::kArray; }
  // Strings, booleans and integers: what has a `text` and can be compared.
  [[nodiscard]] bool IsScalar() const {
    return kind == Kind::kString || kind == Kind::kBoolean || kind == Kind::kInteger;
  }

  // The member of this name, or null: also when this is no object.
  [[nodiscard]] const JsonValue* Find(std::string_view name) const;
  // What the member says when it is a string; nullopt when it is missing or something else.
  [[nodiscard]] std::optional<std::string_view> FindString(std::string_view name) const;
  // Follows a JSON pointer (RFC 6901), for example "/realm/roles/0"; null when it leads nowhere.
  [[nodiscard]] const JsonValue* Follow(std::string_view pointer) const;
};

struct JsonMember {
  std::string name;
  JsonValue value;
};

// One whole JSON value: UTF-8 without byte order mark, no name twice in one object (two readers
// would see two documents), no NUL byte, nothing behind it, within `limits`. Numbers that are no
// 64-bit integers are kFraction: also "1.0" and "1e3".
// Errors: kInvalidArgument, the text being the reason alone, without a part of the document.
Result<JsonValue> ParseStrictJson(std::string_view text, const JsonLimits& limits = {});

// `value` as compact JSON. Strings are escaped; fractions cannot be told and become null.
std::string ToJsonText(const JsonValue& value);

}  // namespace kms
