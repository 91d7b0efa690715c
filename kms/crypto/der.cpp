// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/der.h"

#include <algorithm>

namespace kms {

namespace {

constexpr std::size_t kShortLength = 0x80;  // lengths below it are one byte

Error Malformed() { return InvalidArgument("malformed DER"); }

struct Head {
  std::size_t bytes;    // of tag and length
  std::size_t content;  // bytes that follow
};

// X.690, 8.1.3 and 10.1. Nothing here is larger than 64 KiB.
Result<Head> ReadHead(ByteView bytes) {
  if (bytes.size() < 2) {
    return Malformed();
  }
  if (bytes[1] < kShortLength) {
    return Head{2, bytes[1]};
  }
  const std::size_t digits = bytes[1] - kShortLength;
  if (digits == 0 || digits > 2 || bytes.size() < 2 + digits || bytes[2] == 0) {
    return Malformed();
  }
  const std::size_t content =
      digits == 1 ? bytes[2] : static_cast<std::size_t>(bytes[2]) << 8U | bytes[3];
  if (content < kShortLength) {
    return Malformed();
  }
  return Head{2 + digits, content};
}

ByteView WithoutLeadingZeros(ByteView magnitude) {
  const auto first = std::ranges::find_if(magnitude, [](std::uint8_t byte) { return byte != 0; });
  return {first, magnitude.end()};
}

}  // namespace

Result<ByteView> DerReader::Take(DerTag tag) {
  const Head head = KMS_TRY(ReadHead(rest_));
  if (!NextIs(tag) || head.content > rest_.size() - head.bytes) {
    return Malformed();
  }
  const ByteView content = rest_.subspan(head.bytes, head.content);
  rest_ = rest_.subspan(head.bytes + head.content);
  return content;
}

Result<ByteView> DerReader::TakeLast(DerTag tag) {
  const ByteView content = KMS_TRY(Take(tag));
  KMS_TRY(Finish());
  return content;
}

Result<ByteView> DerReader::TakeInteger() {
  const ByteView number = KMS_TRY(Take(DerTag::kInteger));
  const bool padded = number.size() > 1 && ((number[0] == 0x00 && number[1] < 0x80) ||
                                            (number[0] == 0xff && number[1] >= 0x80));
  if (number.empty() || padded) {
    return Malformed();
  }
  return number;
}

Result<ByteView> DerReader::TakeUnsigned() {
  const ByteView number = KMS_TRY(TakeInteger());
  if (number[0] >= 0x80) {
    return Malformed();
  }
  return WithoutLeadingZeros(number);
}

Status DerReader::Finish() const { return AtEnd() ? Ok() : Status(Malformed()); }

std::size_t DerElementBytes(std::size_t content) {
  const std::size_t length_bytes = content < kShortLength ? 1 : content < 0x100 ? 2 : 3;
  return 1 + length_bytes + content;
}

std::size_t DerUnsignedBytes(ByteView magnitude) {
  const ByteView digits = WithoutLeadingZeros(magnitude);
  return digits.empty() || digits[0] >= 0x80 ? digits.size() + 1 : digits.size();
}

void DerWriter::Byte(std::size_t value) {
  rest_[0] = static_cast<std::uint8_t>(value);
  rest_ = rest_.subspan(1);
}

void DerWriter::Head(DerTag tag, std::size_t content) {
  Byte(static_cast<std::size_t>(tag));
  if (content >= 0x100) {
    Byte(0x82);
    Byte(content >> 8U);
  } else if (content >= kShortLength) {
    Byte(0x81);
  }
  Byte(content);
}

void DerWriter::Raw(ByteView bytes) {
  std::ranges::copy(bytes, rest_.begin());
  rest_ = rest_.subspan(bytes.size());
}

void DerWriter::Unsigned(ByteView magnitude) {
  const ByteView digits = WithoutLeadingZeros(magnitude);
  const std::size_t content = DerUnsignedBytes(magnitude);
  Head(DerTag::kInteger, content);
  if (content > digits.size()) {
    Byte(0);
  }
  Raw(digits);
}

}  // namespace kms
