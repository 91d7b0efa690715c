// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/worker_frame.h"

#include <algorithm>

namespace kms::pkcs11 {

namespace {

Error Malformed() { return InvalidArgument("malformed frame"); }

}  // namespace

void FrameWriter::PutRaw(ByteView bytes) {
  if (overflowed_ || bytes.size() > out_.size() - size_) {
    overflowed_ = true;
    return;
  }
  std::ranges::copy(bytes, out_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += bytes.size();
}

void FrameWriter::PutBytes(ByteView bytes) {
  if (bytes.size() > out_.size()) {
    overflowed_ = true;
    return;
  }
  Put32(static_cast<std::uint32_t>(bytes.size()));
  PutRaw(bytes);
}

Result<ByteView> FrameWriter::Finish() const {
  if (overflowed_) {
    return InvalidArgument("request is too large for the HSM worker");
  }
  return ByteView(out_.first(size_));
}

void FrameWriter::PutNumber(std::uint64_t value, std::size_t bytes) {
  std::uint8_t encoded[8];
  for (std::size_t index = 0; index < bytes; ++index) {
    encoded[index] = static_cast<std::uint8_t>(value >> (8 * (bytes - 1 - index)));
  }
  PutRaw({encoded, bytes});
}

Result<ByteView> FrameReader::Take(std::size_t size) {
  if (size > rest_.size()) {
    return Malformed();
  }
  const ByteView taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

Result<std::uint64_t> FrameReader::GetNumber(std::size_t bytes) {
  const ByteView encoded = KMS_TRY(Take(bytes));
  std::uint64_t value = 0;
  for (const std::uint8_t byte : encoded) {
    value = (value << 8U) | byte;
  }
  return value;
}

Result<std::uint8_t> FrameReader::Get8() {
  return static_cast<std::uint8_t>(KMS_TRY(GetNumber(1)));
}

Result<std::uint16_t> FrameReader::Get16() {
  return static_cast<std::uint16_t>(KMS_TRY(GetNumber(2)));
}

Result<std::uint32_t> FrameReader::Get32() {
  return static_cast<std::uint32_t>(KMS_TRY(GetNumber(4)));
}

Result<std::uint64_t> FrameReader::Get64() { return GetNumber(8); }

Result<bool> FrameReader::GetBool() {
  const std::uint64_t value = KMS_TRY(GetNumber(1));
  if (value > 1) {
    return Malformed();
  }
  return value == 1;
}

Result<Uuid> FrameReader::GetUuid() {
  const ByteView bytes = KMS_TRY(Take(Uuid::kBytes));
  return Uuid::FromBytes(bytes);
}

Result<ByteView> FrameReader::GetView() {
  const std::uint64_t size = KMS_TRY(GetNumber(4));
  return Take(size);
}

Result<Bytes> FrameReader::GetBytes() {
  const ByteView bytes = KMS_TRY(GetView());
  return CopyOf(bytes);
}

Result<std::string> FrameReader::GetText() {
  const ByteView bytes = KMS_TRY(GetView());
  return std::string(AsText(bytes));
}

Result<SecretBytes> FrameReader::GetSecret() {
  const ByteView bytes = KMS_TRY(GetView());
  if (bytes.empty()) {
    return SecretBytes();
  }
  return SecretBytes::CopyOf(bytes);
}

Status FrameReader::ExpectEnd() const {
  if (!rest_.empty()) {
    return Malformed();
  }
  return Ok();
}

}  // namespace kms::pkcs11
