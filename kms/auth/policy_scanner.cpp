// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/policy_scanner.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kms::internal {
namespace {

constexpr std::size_t kMaxShownBytes = 64;
constexpr std::string_view kMarks = "{}[]=:,";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsWordPart(char c) { return IsWordStart(c) || IsDigit(c) || c == '-' || c == '.'; }

// How many bytes the first character of `text` has; 0 when RFC 3629 forbids it.
std::size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](std::size_t at) -> unsigned {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return 1;
  }
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) {
    return 0;
  }
  for (std::size_t at = 1; at < size; ++at) {
    if ((byte(at) & 0xC0U) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : size;
}

void AppendUtf8(std::uint32_t value, std::string& out) {
  const auto part = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (value < 0x80) {
    part(value);
    return;
  }
  if (value < 0x800) {
    part(0xC0U | (value >> 6U));
  } else if (value < 0x10000) {
    part(0xE0U | (value >> 12U));
    part(0x80U | ((value >> 6U) & 0x3FU));
  } else {
    part(0xF0U | (value >> 18U));
    part(0x80U | ((value >> 12U) & 0x3FU));
    part(0x80U | ((value >> 6U) & 0x3FU));
  }
  part(0x80U | (value & 0x3FU));
}

// What a one-letter escape stands for; '\0' for others.
char PlainEscape(char letter) {
  constexpr std::array<std::pair<char, char>, 8> kEscapes = {{{'"', '"'},
                                                              {'\\', '\\'},
                                                              {'/', '/'},
                                                              {'n', '\n'},
                                                              {'r', '\r'},
                                                              {'t', '\t'},
                                                              {'b', '\b'},
                                                              {'f', '\f'}}};
  for (const auto& [known, meant] : kEscapes) {
    if (known == letter) {
      return meant;
    }
  }
  return '\0';
}

}  // namespace

Error PolicyErrorAt(int line, const std::string& text, std::source_location where) {
  return InvalidArgument("line " + std::to_string(line) + ": " + text, {}, where);
}

std::string ShownInError(std::string_view word) {
  std::string shown = "\"";
  for (const char c : word.substr(0, kMaxShownBytes)) {
    shown += c >= ' ' && c <= '~' ? c : '?';
  }
  return shown + (word.size() > kMaxShownBytes ? "...\"" : "\"");
}

Status PolicyScanner::CheckBytes() const {
  int line = 1;
  for (std::size_t at = 0; at < text_.size();) {
    const char c = text_[at];
    const bool space = c == '\n' || c == '\r' || c == '\t';
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && !space) || byte == 0x7F) {
      return PolicyErrorAt(line, "control bytes are not allowed");
    }
    const std::size_t bytes = CharacterBytes(text_.substr(at));
    if (bytes == 0) {
      return PolicyErrorAt(line, "this is not UTF-8");
    }
    line += c == '\n' ? 1 : 0;
    at += bytes;
  }
  return Ok();
}

Status PolicyScanner::SkipSpace() {
  while (!AtEnd()) {
    const char c = Peek();
    const bool comment = c == '#' || (c == '/' && (Peek(1) == '/' || Peek(1) == '*'));
    if (comment && json_) {
      return PolicyErrorAt(line_, "JSON has no comments");
    }
    if (c == '/' && Peek(1) == '*') {
      KMS_TRY(SkipBlockComment());
    } else if (comment) {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      line_ += c == '\n' ? 1 : 0;
      ++at_;
    } else {
      return Ok();
    }
  }
  return Ok();
}

Status PolicyScanner::SkipBlockComment() {
  const std::size_t end = text_.find("*/", at_ + 2);
  if (end == std::string_view::npos) {
    return PolicyErrorAt(line_, "this comment has no end: */ is missing");
  }
  for (; at_ < end + 2; ++at_) {
    line_ += Peek() == '\n' ? 1 : 0;
  }
  return Ok();
}

Result<PolicyToken> PolicyScanner::Next() {
  KMS_TRY(SkipSpace());
  PolicyToken token{.kind = PolicyTokenKind::kEnd, .text = {}, .line = line_};
  if (AtEnd()) {
    return token;
  }
  const char c = Peek();
  if (c == '"') {
    return ReadString();
  }
  if (IsDigit(c) || c == '-') {
    return ReadNumber();
  }
  if (IsWordStart(c)) {
    return ReadWord();
  }
  if (kMarks.find(c) != std::string_view::npos) {
    ++at_;
    token.kind = PolicyTokenKind::kMark;
    token.text = c;
    return token;
  }
  if (c == '<' && Peek(1) == '<') {
    return PolicyErrorAt(line_, "heredocs (<<) are not supported: write a quoted string");
  }
  if (c == '\'') {
    return PolicyErrorAt(line_, "strings are written in double quotes");
  }
  return PolicyErrorAt(line_, "unexpected character " + ShownInError(std::string_view(&c, 1)));
}

Result<PolicyToken> PolicyScanner::ReadString() {
  PolicyToken token{.kind = PolicyTokenKind::kString, .text = {}, .line = line_};
  ++at_;
  while (!AtEnd() && Peek() != '"' && Peek() != '\n') {
    if (Peek() == '\\') {
      KMS_TRY(ReadEscape(token.text));
      continue;
    }
    // Whoever writes it expects another program to fill it in; taken literally it would match
    // nothing.
    if (Peek() == '$' && Peek(1) == '{') {
      return PolicyErrorAt(line_, "interpolation ${...} is not supported");
    }
    token.text += Peek();
    ++at_;
  }
  if (Peek() != '"' || AtEnd()) {
    return PolicyErrorAt(token.line, "this string has no end: a closing quote is missing");
  }
  ++at_;
  return token;
}

Status PolicyScanner::ReadEscape(std::string& out) {
  ++at_;
  const char letter = Peek();
  ++at_;
  if (const char plain = PlainEscape(letter); plain != '\0') {
    out += plain;
    return Ok();
  }
  if (letter != 'u') {
    return PolicyErrorAt(line_,
                         "unknown escape: \\\" \\\\ \\/ \\n \\r \\t \\b \\f \\uXXXX are known");
  }
  std::uint32_t value = KMS_TRY(ReadHex(4));
  const bool high = value >= 0xD800 && value <= 0xDBFF;
  if (high && Peek() == '\\' && Peek(1) == 'u') {
    at_ += 2;
    const std::uint32_t low = KMS_TRY(ReadHex(4));
    if (low < 0xDC00 || low > 0xDFFF) {
      return PolicyErrorAt(line_, "half of a surrogate pair");
    }
    value = 0x10000U + ((value - 0xD800U) << 10U) + (low - 0xDC00U);
  } else if (value >= 0xD800 && value <= 0xDFFF) {
    return PolicyErrorAt(line_, "half of a surrogate pair");
  }
  if (value == 0) {
    return PolicyErrorAt(line_, "\\u0000 is not allowed");
  }
  AppendUtf8(value, out);
  return Ok();
}

Result<std::uint32_t> PolicyScanner::ReadHex(std::size_t digits) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::uint32_t value = 0;
  for (std::size_t digit = 0; digit < digits; ++digit) {
    const char c = Peek();
    const std::size_t nibble = kHex.find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
    if (nibble == std::string_view::npos) {
      return PolicyErrorAt(line_, "\\u needs four hexadecimal digits");
    }
    value = value << 4U | static_cast<std::uint32_t>(nibble);
    ++at_;
  }
  return value;
}

// -?digits[.digits], without leading zeros: one number has one spelling, except for zeros behind
// the point, which fall away.
Result<PolicyToken> PolicyScanner::ReadNumber() {
  PolicyToken token{.kind = PolicyTokenKind::kNumber, .text = {}, .line = line_};
  const std::size_t begin = at_;
  while (IsWordPart(Peek()) || Peek() == '+') {
    ++at_;
  }
  const std::string_view written = text_.substr(begin, at_ - begin);
  const std::string_view digits = written.substr(written.starts_with('-') ? 1 : 0);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const std::string_view whole = digits.substr(0, point);
  std::string_view fraction = digits.substr(std::min(point + 1, digits.size()));
  const bool sound = whole.find_first_not_of("0123456789") == std::string_view::npos &&
                     fraction.find_first_not_of("0123456789") == std::string_view::npos &&
                     !whole.empty() && (whole.size() == 1 || whole[0] != '0') &&
                     (point == digits.size() || !fraction.empty()) && digits.size() <= 30;
  if (!sound) {
    return PolicyErrorAt(line_, ShownInError(written) +
                                    " is not a number as policies write it, for example 90 or 1.5");
  }
  fraction = fraction.substr(0, fraction.find_last_not_of('0') + 1);
  const bool zero = whole == "0" && fraction.empty();
  token.text = (written.starts_with('-') && !zero ? "-" : "") + std::string(whole);
  if (!fraction.empty()) {
    token.text += "." + std::string(fraction);
  }
  return token;
}

PolicyToken PolicyScanner::ReadWord() {
  PolicyToken token{.kind = PolicyTokenKind::kWord, .text = {}, .line = line_};
  while (IsWordPart(Peek())) {
    token.text += Peek();
    ++at_;
  }
  return token;
}

}  // namespace kms::internal
