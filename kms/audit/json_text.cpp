// SPDX-License-Identifier: Apache-2.0
// Writes JSON strings and numbers onto the end of a reused string.
#include "kms/audit/json_text.h"

#include <array>
#include <charconv>

namespace kms {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

// Bytes that stand for themselves in a JSON string.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0x20; byte < 0x7F; ++byte) {
    plain[byte] = byte != '"' && byte != '\\';
  }
  return plain;
}();

struct CodePoint {
  std::uint32_t value;
  std::size_t bytes;
};

std::uint32_t ByteAt(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

// Decodes the first code point of `text` (not empty); anything RFC 3629 forbids is one
// replacement character of one byte.
CodePoint FirstCodePoint(std::string_view text) {
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const std::uint32_t lead = ByteAt(text, 0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) {
    return {kReplacement, 1};
  }
  std::uint32_t value = lead & (0xFFU >> (size + 1));
  for (std::size_t index = 1; index < size; ++index) {
    if ((ByteAt(text, index) & 0xC0U) != 0x80) {
      return {kReplacement, 1};
    }
    value = (value << 6U) | (ByteAt(text, index) & 0x3FU);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kSmallest[size] || value > 0x10FFFF || surrogate) {
    return {kReplacement, 1};
  }
  return {value, size};
}

// Characters that move a cursor, end a line for some reader, or reorder what a person sees.
bool IsHostile(std::uint32_t value) {
  return value < 0x20 || (value >= 0x7F && value <= 0x9F) || value == 0x200E || value == 0x200F ||
         (value >= 0x2028 && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069) ||
         value == 0xFEFF || value == kReplacement;
}

void AppendEscape(std::uint32_t value, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  const char escape[] = {'\\',
                         'u',
                         kHex[(value >> 12U) & 0xFU],
                         kHex[(value >> 8U) & 0xFU],
                         kHex[(value >> 4U) & 0xFU],
                         kHex[value & 0xFU]};
  out.append(escape, sizeof(escape));
}

// The longest prefix of at most `max_bytes` that does not split a well-formed character.
std::string_view Cut(std::string_view text, std::size_t max_bytes) {
  constexpr std::size_t kMaxContinuationBytes = 3;
  std::size_t size = max_bytes;
  for (std::size_t back = 0; back < kMaxContinuationBytes && size > 0; ++back) {
    if ((ByteAt(text, size) & 0xC0U) != 0x80) {
      break;
    }
    --size;
  }
  return text.substr(0, size);
}

void AppendEscaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    std::size_t run = 0;
    while (run < text.size() && kPlain[static_cast<unsigned char>(text[run])]) {
      ++run;
    }
    out.append(text.substr(0, run));
    text.remove_prefix(run);
    if (text.empty()) {
      return;
    }
    const CodePoint next = FirstCodePoint(text);
    if (next.value == '"' || next.value == '\\') {
      out.push_back('\\');
      out.push_back(text.front());
    } else if (IsHostile(next.value)) {
      AppendEscape(next.value, out);
    } else {
      out.append(text.substr(0, next.bytes));
    }
    text.remove_prefix(next.bytes);
  }
}

template <typename Number>
void AppendNumber(Number number, std::string& out) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

}  // namespace

void AppendJsonString(std::string_view text, std::size_t max_bytes, std::string& out) {
  out.push_back('"');
  if (text.size() > max_bytes) {
    AppendEscaped(Cut(text, max_bytes), out);
    out.append("...");
  } else {
    AppendEscaped(text, out);
  }
  out.push_back('"');
}

void AppendJsonNumber(std::int64_t number, std::string& out) { AppendNumber(number, out); }
void AppendJsonNumber(std::uint64_t number, std::string& out) { AppendNumber(number, out); }

}  // namespace kms
