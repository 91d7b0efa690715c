// SPDX-License-Identifier: Apache-2.0
// One pass over the bytes of a body: depth, strings, numbers, containers, repeated keys.
#include "api/pipeline/json_guard.h"

#include <array>
#include <cstdint>
#include <string>

namespace kms::api {
namespace {

// Keys whose repetition would let two readers see two requests (A2).
constexpr std::array<std::string_view, 3> kUniqueKeys = {"plaintext", "ciphertext", "name"};
constexpr std::size_t kMaxTrackedDepth = 128;
constexpr std::size_t kLongestKey = 64;

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

constexpr bool IsScalarByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '+' || c == '.';
}

constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Undoes the escapes of a short ASCII key; an escape that leaves ASCII ends it, because none of
// the keys we compare with contains one.
std::string PlainKey(std::string_view raw) {
  std::string plain;
  for (std::size_t i = 0; i < raw.size() && plain.size() <= kLongestKey; ++i) {
    if (raw[i] != '\\') {
      plain += raw[i];
      continue;
    }
    if (i + 5 >= raw.size() || raw[i + 1] != 'u') {
      return {};
    }
    int code = 0;
    for (std::size_t digit = i + 2; digit < i + 6; ++digit) {
      const int value = HexValue(raw[digit]);
      if (value < 0) {
        return {};
      }
      code = code * 16 + value;
    }
    if (code >= 0x80) {
      return {};
    }
    plain += static_cast<char>(code);
    i += 5;
  }
  return plain;
}

Error TooComplex(std::string_view what) {
  return InvalidArgument("refused JSON input due to high complexity: " + std::string(what));
}

Error Malformed(std::string_view what) {
  return InvalidArgument("failed to decode JSON input: " + std::string(what));
}

class Guard {
 public:
  Guard(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  Result<std::string_view> Run() {
    while (position_ < text_.size()) {
      KMS_TRY(Step());
      if (depth_ == 0 && tokens_ > 0) {
        return text_.substr(0, position_);
      }
    }
    return Malformed("unexpected end of JSON input");
  }

 private:
  Status Step() {
    const char c = text_[position_];
    if (IsBlank(c) || c == ',' || c == ':') {
      ++position_;
      return Ok();
    }
    if (c == '}' || c == ']') {
      ++position_;
      return Leave();
    }
    if (++tokens_ > limits_.max_tokens) {
      return TooComplex("too many tokens");
    }
    if (c == '{' || c == '[') {
      ++position_;
      return Enter();
    }
    return c == '"' ? String() : Scalar();
  }

  Status Enter() {
    if (++containers_ > limits_.max_containers) {
      return TooComplex("too many objects and arrays");
    }
    if (++depth_ > limits_.max_depth || depth_ >= kMaxTrackedDepth) {
      return TooComplex("nested too deeply");
    }
    seen_[depth_] = 0;
    return Ok();
  }

  Status Leave() {
    if (depth_ == 0) {
      return Malformed("unbalanced brackets");
    }
    --depth_;
    return Ok();
  }

  Status String() {
    if (++strings_ > limits_.max_strings) {
      return TooComplex("too many strings");
    }
    const std::size_t begin = position_ + 1;
    std::size_t end = begin;
    while (end < text_.size() && text_[end] != '"') {
      end += text_[end] == '\\' ? std::size_t{2} : std::size_t{1};
    }
    if (end >= text_.size()) {
      return Malformed("unexpected end of JSON input");
    }
    if (end - begin > limits_.max_string_bytes) {
      return TooComplex("a string is too long");
    }
    position_ = end + 1;
    return CheckKey(text_.substr(begin, end - begin));
  }

  // A string followed by ':' is a key of the innermost object.
  Status CheckKey(std::string_view raw) {
    std::size_t next = position_;
    while (next < text_.size() && IsBlank(text_[next])) {
      ++next;
    }
    if (next >= text_.size() || text_[next] != ':' || raw.size() > 6 * kLongestKey) {
      return Ok();
    }
    const bool escaped = raw.find('\\') != std::string_view::npos;
    const std::string decoded = escaped ? PlainKey(raw) : std::string();
    const std::string_view key = escaped ? std::string_view(decoded) : raw;
    for (std::size_t i = 0; i < kUniqueKeys.size(); ++i) {
      if (key != kUniqueKeys[i]) {
        continue;
      }
      const auto bit = static_cast<std::uint8_t>(1U << i);
      if ((seen_[depth_] & bit) != 0) {
        return Malformed("duplicate key \"" + std::string(kUniqueKeys[i]) + "\"");
      }
      seen_[depth_] = static_cast<std::uint8_t>(seen_[depth_] | bit);
    }
    return Ok();
  }

  Status Scalar() {
    const std::size_t begin = position_;
    while (position_ < text_.size() && IsScalarByte(text_[position_])) {
      ++position_;
    }
    if (position_ == begin) {
      return Malformed("invalid character");
    }
    if (position_ - begin > limits_.max_number_bytes) {
      return TooComplex("a number is too long");
    }
    return Ok();
  }

  std::string_view text_;
  const JsonLimits& limits_;
  std::size_t position_ = 0;
  std::size_t depth_ = 0;
  std::size_t tokens_ = 0;
  std::size_t strings_ = 0;
  std::size_t containers_ = 0;
  std::array<std::uint8_t, kMaxTrackedDepth> seen_{};
};

}  // namespace

Result<std::string_view> GuardJson(std::string_view text, const JsonLimits& limits) {
  return Guard(text, limits).Run();
}

}  // namespace kms::api
