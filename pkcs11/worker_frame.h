// SPDX-License-Identifier: Apache-2.0
// FrameWriter, FrameReader: numbers, texts and byte strings in one bounded frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::pkcs11 {

// All numbers are big-endian; byte strings and texts carry a 4-byte length.

// Writes into memory of the caller, which keeps it locked and wipes it. Not thread-safe.
class FrameWriter {
 public:
  // `out` must outlive the writer.
  explicit FrameWriter(MutableByteView out) : out_(out) {}

  void Put8(std::uint8_t value) { PutNumber(value, 1); }
  void Put16(std::uint16_t value) { PutNumber(value, 2); }
  void Put32(std::uint32_t value) { PutNumber(value, 4); }
  void Put64(std::uint64_t value) { PutNumber(value, 8); }
  void PutRaw(ByteView bytes);
  void PutBytes(ByteView bytes);
  void PutText(std::string_view text) { PutBytes(AsBytes(text)); }

  // What was written. Errors: kInvalidArgument when it did not fit.
  [[nodiscard]] Result<ByteView> Finish() const;

 private:
  void PutNumber(std::uint64_t value, std::size_t bytes);

  MutableByteView out_;
  std::size_t size_ = 0;
  bool overflowed_ = false;
};

// Reads a frame front to back. Errors of every member: kInvalidArgument "malformed frame".
// Not thread-safe.
class FrameReader {
 public:
  // `frame` must outlive the reader and the views it returns.
  explicit FrameReader(ByteView frame) : rest_(frame) {}

  Result<std::uint8_t> Get8();
  Result<std::uint16_t> Get16();
  Result<std::uint32_t> Get32();
  Result<std::uint64_t> Get64();
  Result<bool> GetBool();
  Result<Uuid> GetUuid();
  Result<ByteView> GetView();
  Result<Bytes> GetBytes();
  Result<std::string> GetText();
  // Straight from the frame into locked memory. Errors: also kUnavailable (arena full).
  Result<SecretBytes> GetSecret();
  // Succeeds when nothing is left.
  [[nodiscard]] Status ExpectEnd() const;

 private:
  Result<ByteView> Take(std::size_t size);
  Result<std::uint64_t> GetNumber(std::size_t bytes);

  ByteView rest_;
};

}  // namespace kms::pkcs11
