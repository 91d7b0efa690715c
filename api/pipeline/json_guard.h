// SPDX-License-Identifier: Apache-2.0
// JsonGuard: counts what a body would cost before anything is built from it (failures finding 4).
#pragma once

#include <cstddef>
#include <string_view>

#include "kms/base/result.h"

namespace kms::api {

struct JsonLimits {
  std::size_t max_depth = 32;
  std::size_t max_strings = 200'000;  // keys and values
  std::size_t max_string_bytes = std::size_t{32} << 20U;
  std::size_t max_number_bytes = 64;  // digits, sign, point and exponent of one number
  std::size_t max_containers = 100'000;  // objects and arrays
  std::size_t max_tokens = 1'000'000;    // strings, numbers, literals, objects and arrays
};

// Reads `text` once, without memory of its own, and returns the part that holds the first value:
// what follows it is ignored (transit-api 2.4). Syntax is only checked as far as counting needs;
// the parser judges the rest. `text` starts with '{', '[' or any other first byte of a value.
// Errors: kInvalidArgument "refused JSON input due to high complexity: ..." naming the limit;
// "failed to decode JSON input: ..." for an unfinished value, or when one object names
// `plaintext`, `ciphertext` or `name` twice (A2). No text holds any of the input.
Result<std::string_view> GuardJson(std::string_view text, const JsonLimits& limits);

}  // namespace kms::api
