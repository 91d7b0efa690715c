// SPDX-License-Identifier: Apache-2.0
// FieldSpec: what a route says about one of its parameters. Routes hold tables of these.
#pragma once

#include <cstdint>
#include <string_view>

namespace kms::api {

// How a value is read; everything is lenient as transit-api 3.1 demands.
enum class FieldKind : std::uint8_t {
  kString,    // a string; numbers and booleans are rendered
  kBase64,    // a string that the operation decodes
  kInteger,   // integer, integral float, decimal string, boolean; "" is 0
  kBoolean,   // boolean, 0/1, "true", "false", "t", "f", "1", "0"; "" is false
  kDuration,  // seconds, numeric string or Go duration ("1h30m", "30d"); never negative
  kSlice,     // an array; judged by the operation
  kMap,       // an object; judged by the operation
};

struct FieldSpec {
  std::string_view name;
  FieldKind kind = FieldKind::kString;
  std::string_view fallback = {};      // what absent means, as text; empty: "", 0 or false
  std::string_view missing_text = {};  // not empty: required, and this is the 400 text without it
};

}  // namespace kms::api
