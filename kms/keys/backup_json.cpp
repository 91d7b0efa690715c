// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/backup_json.h"

#include <cstddef>

namespace kms::internal {

namespace {

constexpr std::size_t kShortInteger = 18;  // fits 64 bits with a sign

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The place after the string that starts at `from`.
std::size_t EndOfString(std::string_view json, std::size_t from) {
  for (std::size_t at = from + 1; at < json.size(); ++at) {
    if (json[at] == '\\') {
      ++at;
    } else if (json[at] == '"') {
      return at + 1;
    }
  }
  return json.size();
}

// The place after the run of digits that starts at `from`, with a sign or without.
std::size_t EndOfInteger(std::string_view json, std::size_t from) {
  std::size_t at = from + 1;
  while (at < json.size() && IsDigit(json[at])) {
    ++at;
  }
  return at;
}

}  // namespace

std::string QuoteLongIntegers(std::string_view json) {
  std::string out;
  out.reserve(json.size() + json.size() / 32);
  std::size_t at = 0;
  while (at < json.size()) {
    const bool number = IsDigit(json[at]) || json[at] == '-';
    std::size_t end = at + 1;
    if (json[at] == '"') {
      end = EndOfString(json, at);
    } else if (number) {
      end = EndOfInteger(json, at);
    }
    const bool quoted = number && end - at > kShortInteger;
    if (quoted) {
      out += '"';
    }
    out += json.substr(at, end - at);
    if (quoted) {
      out += '"';
    }
    at = end;
  }
  return out;
}

}  // namespace kms::internal
