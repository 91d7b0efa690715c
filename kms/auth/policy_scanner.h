// SPDX-License-Identifier: Apache-2.0
// PolicyScanner: cuts a policy document into tokens. HCL and JSON share them: they differ in what
// may stand between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/result.h"

namespace kms::internal {

enum class PolicyTokenKind : std::uint8_t { kEnd, kWord, kString, kNumber, kMark };

struct PolicyToken {
  PolicyTokenKind kind = PolicyTokenKind::kEnd;
  std::string text;  // of a string: without quotes and escapes; a mark is one of { } [ ] = : ,
  int line = 1;
};

// kInvalidArgument "line N: text".
Error PolicyErrorAt(int line, const std::string& text,
                    std::source_location where = std::source_location::current());
// `word` in quotes as an error text may show it: printable ASCII only, and not much of it.
std::string ShownInError(std::string_view word);

// Thread rule: one thread. `text` must outlive it.
class PolicyScanner {
 public:
  // `json`: comments are refused, and words other than true and false are the grammar's to refuse.
  PolicyScanner(std::string_view text, bool json) : text_(text), json_(json) {}

  // Control bytes, DEL and what is not UTF-8 are refused wherever they stand, comments included:
  // the document is shown to people. Call it once, first. Errors: kInvalidArgument with the line.
  [[nodiscard]] Status CheckBytes() const;
  // The next token; kEnd again and again at the end. Errors: kInvalidArgument with the line.
  Result<PolicyToken> Next();

 private:
  [[nodiscard]] bool AtEnd() const { return at_ >= text_.size(); }
  [[nodiscard]] char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  Status SkipSpace();
  Status SkipBlockComment();
  Result<PolicyToken> ReadString();
  Status ReadEscape(std::string& out);
  Result<std::uint32_t> ReadHex(std::size_t digits);
  Result<PolicyToken> ReadNumber();
  PolicyToken ReadWord();

  std::string_view text_;
  bool json_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace kms::internal
