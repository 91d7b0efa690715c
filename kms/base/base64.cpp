// SPDX-License-Identifier: Apache-2.0
// Four characters at a time through a table; whatever is unusual (padding, line ends, errors) goes
// through the slow path, one character at a time.
#include "kms/base/base64.h"

#include <array>
#include <cstdint>

namespace kms {

namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kInvalid = 0x80;

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kInvalid);
  for (std::uint8_t index = 0; index < 64; ++index) {
    values[static_cast<unsigned char>(kAlphabet[index])] = index;
  }
  return values;
}();

std::uint32_t ValueOf(char character) { return kValues[static_cast<unsigned char>(character)]; }

Error IllegalAt(std::size_t offset) {
  return InvalidArgument("illegal base64 data at input byte " + std::to_string(offset));
}

void StoreTriple(std::uint32_t bits, std::uint8_t* out) {
  out[0] = static_cast<std::uint8_t>(bits >> 16U);
  out[1] = static_cast<std::uint8_t>(bits >> 8U);
  out[2] = static_cast<std::uint8_t>(bits);
}

// Decodes whole quartets without padding; stops before the first unusual one.
std::size_t DecodePlainQuartets(std::string_view text, std::uint8_t* out) {
  std::size_t offset = 0;
  while (offset + 4 <= text.size()) {
    const std::uint32_t a = ValueOf(text[offset]);
    const std::uint32_t b = ValueOf(text[offset + 1]);
    const std::uint32_t c = ValueOf(text[offset + 2]);
    const std::uint32_t d = ValueOf(text[offset + 3]);
    if (((a | b | c | d) & kInvalid) != 0) {
      break;
    }
    StoreTriple((a << 18U) | (b << 12U) | (c << 6U) | d, out + offset / 4 * 3);
    offset += 4;
  }
  return offset;
}

bool IsLineEnd(char character) { return character == '\r' || character == '\n'; }

// The end of a text: collects quartets across line ends and judges padding.
class SlowDecoder {
 public:
  SlowDecoder(std::string_view text, Base64Form form) : text_(text), form_(form) {}

  Result<std::size_t> Decode(std::size_t offset, std::uint8_t* out) {
    std::size_t written = 0;
    for (; offset < text_.size(); ++offset) {
      const char character = text_[offset];
      if (form_ == Base64Form::kLenient && IsLineEnd(character)) {
        continue;
      }
      if (character == '=') {
        return written + KMS_TRY(FinishPadded(offset, out + written));
      }
      const std::uint32_t value = ValueOf(character);
      if (value == kInvalid) {
        return IllegalAt(offset);
      }
      bits_ = (bits_ << 6U) | value;
      if (++pending_ == 4) {
        StoreTriple(bits_, out + written);
        written += 3;
        pending_ = 0;
        bits_ = 0;
      }
    }
    if (pending_ != 0) {
      return IllegalAt(text_.size());
    }
    return written;
  }

 private:
  // `offset` is that of the first '='. Returns how many bytes the last quartet gave.
  Result<std::size_t> FinishPadded(std::size_t offset, std::uint8_t* out) {
    const std::size_t missing = 4 - pending_;
    if (pending_ < 2) {
      return IllegalAt(offset);
    }
    std::size_t seen = 0;
    for (; offset < text_.size(); ++offset) {
      if (form_ == Base64Form::kLenient && IsLineEnd(text_[offset])) {
        continue;
      }
      if (text_[offset] != '=' || seen == missing) {
        return IllegalAt(offset);
      }
      ++seen;
    }
    if (seen != missing) {
      return IllegalAt(text_.size());
    }
    const std::uint32_t bits = bits_ << (6 * missing);
    const std::uint32_t trailing = missing == 1 ? 0xffU : 0xffffU;
    if (form_ == Base64Form::kCanonical && (bits & trailing) != 0) {
      return IllegalAt(text_.size() - missing - 1);
    }
    const std::size_t bytes = 3 - missing;
    for (std::size_t index = 0; index < bytes; ++index) {
      out[index] = static_cast<std::uint8_t>(bits >> (16 - 8 * index));
    }
    return bytes;
  }

  std::string_view text_;
  Base64Form form_;
  std::uint32_t bits_ = 0;
  std::size_t pending_ = 0;
};

}  // namespace

void AppendBase64(ByteView bytes, std::string& out) {
  const std::size_t start = out.size();
  out.resize(start + Base64EncodedSize(bytes.size()));
  char* to = out.data() + start;
  std::size_t index = 0;
  for (; index + 3 <= bytes.size(); index += 3) {
    const std::uint32_t bits = (std::uint32_t{bytes[index]} << 16U) |
                               (std::uint32_t{bytes[index + 1]} << 8U) | bytes[index + 2];
    *to++ = kAlphabet[bits >> 18U];
    *to++ = kAlphabet[(bits >> 12U) & 63U];
    *to++ = kAlphabet[(bits >> 6U) & 63U];
    *to++ = kAlphabet[bits & 63U];
  }
  const std::size_t left = bytes.size() - index;
  if (left != 0) {
    const std::uint32_t second = left == 2 ? bytes[index + 1] : 0U;
    const std::uint32_t bits = (std::uint32_t{bytes[index]} << 16U) | (second << 8U);
    *to++ = kAlphabet[bits >> 18U];
    *to++ = kAlphabet[(bits >> 12U) & 63U];
    *to++ = left == 2 ? kAlphabet[(bits >> 6U) & 63U] : '=';
    *to++ = '=';
  }
}

std::string Base64Encode(ByteView bytes) {
  std::string text;
  AppendBase64(bytes, text);
  return text;
}

Result<std::size_t> Base64DecodeInto(std::string_view text, MutableByteView out, Base64Form form) {
  if (out.size() < Base64DecodedBound(text.size())) {
    return Internal("base64 output buffer is too small");
  }
  const std::size_t offset = DecodePlainQuartets(text, out.data());
  const std::size_t written = offset / 4 * 3;
  return written + KMS_TRY(SlowDecoder(text, form).Decode(offset, out.data() + written));
}

Result<Bytes> Base64Decode(std::string_view text, Base64Form form) {
  Bytes bytes(Base64DecodedBound(text.size()));
  bytes.resize(KMS_TRY(Base64DecodeInto(text, bytes, form)));
  return bytes;
}

}  // namespace kms
