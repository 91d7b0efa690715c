// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/policy_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

namespace kms::internal {
namespace {

constexpr std::int64_t kLongest = std::int64_t{100} * 365 * 86'400;

char LoweredCharacter(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Seconds of a unit; 0 for what is none.
std::int64_t UnitSeconds(char unit) {
  switch (unit) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3'600;
    case 'd': return 86'400;
    default: return 0;
  }
}

std::optional<bool> BooleanWord(std::string_view text, bool numeric) {
  constexpr std::array<std::pair<std::string_view, bool>, 10> kWords = {{{"t", true},
                                                                         {"T", true},
                                                                         {"TRUE", true},
                                                                         {"True", true},
                                                                         {"f", false},
                                                                         {"F", false},
                                                                         {"FALSE", false},
                                                                         {"False", false},
                                                                         {"1", true},
                                                                         {"0", false}}};
  for (const auto& [word, meant] : std::span(kWords).first(numeric ? 10 : 8)) {
    if (word == text) {
      return meant;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> DurationSeconds(std::string_view text) {
  std::int64_t total = 0;
  bool bare = false;
  do {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || number < 0 || text.starts_with('-') || bare) {
      return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    bare = text.empty();
    const std::int64_t unit = bare ? 1 : UnitSeconds(text.front());
    if (unit == 0 || number > kLongest / unit || (bare && total != 0)) {
      return std::nullopt;
    }
    total += number * unit;
    text.remove_prefix(bare ? 0 : 1);
  } while (!text.empty() && total <= kLongest);
  return total > kLongest ? std::nullopt : std::optional(total);
}

std::string Lowered(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), LoweredCharacter);
  return lowered;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, LoweredCharacter, LoweredCharacter);
}

void AddSpellings(std::string_view text, bool numeric_booleans, ParameterValues& values) {
  values.emplace_back(text);
  if (const auto boolean = BooleanWord(text, numeric_booleans)) {
    values.emplace_back(*boolean ? "true" : "false");
  }
  const bool has_unit = !text.empty() && UnitSeconds(text.back()) != 0;
  if (const auto seconds = has_unit ? DurationSeconds(text) : std::nullopt) {
    values.push_back(std::to_string(*seconds));
  }
}

}  // namespace kms::internal
