// SPDX-License-Identifier: Apache-2.0
// AclPattern: the path of one rule, ready to be compared with a request's, and how strong it is
// (transit-api 11.2, 11.3).
#pragma once

#include <compare>
#include <cstddef>
#include <string_view>

namespace kms::internal {

// Stronger is greater: compared member by member, in the order of transit-api 11.3. Only patterns
// with a wildcard are compared; one without is stronger than all of them.
struct PatternStrength {
  std::size_t first_wildcard = 0;  // its position: later is stronger
  bool whole = false;              // does not end in '*'
  int fewer_pluses = 0;            // minus the number of '+' segments
  std::size_t length = 0;
  std::string_view text;

  friend auto operator<=>(const PatternStrength&, const PatternStrength&) = default;
};

// Views the text it was made of, which must outlive it. Plain value; any thread.
class AclPattern {
 public:
  explicit AclPattern(std::string_view text);

  // Whether it is judged by strength at all; false: it is compared as it is.
  [[nodiscard]] bool has_wildcard() const { return prefix_ || pluses_ > 0; }
  // It has '+' segments; false: a prefix, or exact.
  [[nodiscard]] bool has_plus() const { return pluses_ > 0; }
  [[nodiscard]] PatternStrength strength() const;
  // Without the '*' at the end.
  [[nodiscard]] std::string_view stem() const { return stem_; }
  // No allocation. A '+' stands for one segment that is not empty.
  [[nodiscard]] bool Matches(std::string_view path) const;

 private:
  [[nodiscard]] bool MatchesSegments(std::string_view path) const;

  std::string_view text_;
  std::string_view stem_;
  bool prefix_;
  int pluses_ = 0;
  std::size_t first_plus_ = 0;
};

}  // namespace kms::internal
