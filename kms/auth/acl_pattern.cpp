// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/acl_pattern.h"

namespace kms::internal {
namespace {

// Walks over what stands between slashes; "a/" has two segments, the second empty.
class Segments {
 public:
  explicit Segments(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool done() const { return done_; }
  // The position of the next segment in the text.
  [[nodiscard]] std::size_t position() const { return position_; }
  std::string_view Next() {
    const std::size_t slash = rest_.find('/');
    const std::string_view segment = rest_.substr(0, slash);
    done_ = slash == std::string_view::npos;
    rest_.remove_prefix(done_ ? rest_.size() : slash + 1);
    position_ += segment.size() + 1;
    return segment;
  }

 private:
  std::string_view rest_;
  std::size_t position_ = 0;
  bool done_ = false;
};

}  // namespace

AclPattern::AclPattern(std::string_view text)
    : text_(text), stem_(text), prefix_(text.ends_with('*')) {
  stem_.remove_suffix(prefix_ ? 1 : 0);
  Segments segments(stem_);
  while (!segments.done()) {
    const std::size_t position = segments.position();
    if (segments.Next() != "+") {
      continue;
    }
    first_plus_ = pluses_ == 0 ? position : first_plus_;
    ++pluses_;
  }
}

PatternStrength AclPattern::strength() const {
  return {.first_wildcard = pluses_ > 0 ? first_plus_ : stem_.size(),
          .whole = !prefix_,
          .fewer_pluses = -pluses_,
          .length = text_.size(),
          .text = text_};
}

bool AclPattern::Matches(std::string_view path) const {
  if (pluses_ > 0) {
    return MatchesSegments(path);
  }
  return prefix_ ? path.starts_with(stem_) : path == stem_;
}

bool AclPattern::MatchesSegments(std::string_view path) const {
  Segments wanted(stem_);
  Segments given(path);
  while (!wanted.done()) {
    if (given.done()) {
      return false;
    }
    const std::string_view pattern = wanted.Next();
    const std::string_view segment = given.Next();
    const bool open_end = prefix_ && wanted.done();
    const bool matches = pattern == "+" ? !segment.empty()
                         : open_end     ? segment.starts_with(pattern)
                                        : segment == pattern;
    if (!matches) {
      return false;
    }
  }
  return prefix_ || given.done();
}

}  // namespace kms::internal
