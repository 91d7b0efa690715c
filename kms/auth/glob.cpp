// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/glob.h"

#include <cstddef>

namespace kms {

bool MatchesGlob(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;  // in the pattern
  std::size_t after_star = std::string_view::npos;
  std::size_t retry = 0;  // where in the text the last star ends so far
  for (std::size_t index = 0; index < text.size();) {
    if (at < pattern.size() && pattern[at] == '*') {
      after_star = ++at;
      retry = index;
    } else if (at < pattern.size() && pattern[at] == text[index]) {
      ++at;
      ++index;
    } else if (after_star != std::string_view::npos) {
      at = after_star;
      index = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

bool MatchesEdgeGlob(std::string_view pattern, std::string_view text) {
  const bool any_end = pattern.ends_with('*');
  pattern.remove_suffix(any_end ? 1 : 0);
  const bool any_begin = pattern.starts_with('*');
  pattern.remove_prefix(any_begin ? 1 : 0);
  if (any_begin && any_end) {
    return text.find(pattern) != std::string_view::npos;
  }
  if (any_begin) {
    return text.ends_with(pattern);
  }
  return any_end ? text.starts_with(pattern) : text == pattern;
}

}  // namespace kms
