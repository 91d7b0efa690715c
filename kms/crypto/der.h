// SPDX-License-Identifier: Apache-2.0
// DER (X.690), as far as keys and signatures need it: a strict reader and a writer that allocates
// secret memory only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

enum class DerTag : std::uint8_t {
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kNull = 0x05,
  kObjectIdentifier = 0x06,
  kSequence = 0x30,
  kContext0 = 0xa0,  // [0], constructed
  kContext1 = 0xa1,
};

// Reads elements one after the other. Only minimal definite lengths are read: what was read has no
// other encoding. Thread rule: like a plain value; the bytes must outlive it.
class DerReader {
 public:
  explicit DerReader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool AtEnd() const { return rest_.empty(); }
  [[nodiscard]] ByteView rest() const { return rest_; }
  [[nodiscard]] bool NextIs(DerTag tag) const {
    return !rest_.empty() && rest_[0] == static_cast<std::uint8_t>(tag);
  }

  // The contents of the next element. Errors: kInvalidArgument.
  Result<ByteView> Take(DerTag tag);
  // The contents of the next element, which is the last one. Errors: kInvalidArgument.
  Result<ByteView> TakeLast(DerTag tag);
  // The next INTEGER as it stands: two's complement, minimal. Errors: kInvalidArgument.
  Result<ByteView> TakeInteger();
  // The magnitude of the next INTEGER without leading zeros (empty for 0). Errors:
  // kInvalidArgument, for negative numbers too.
  Result<ByteView> TakeUnsigned();
  // Errors: kInvalidArgument unless nothing is left.
  [[nodiscard]] Status Finish() const;

 private:
  ByteView rest_;
};

// The bytes of an element with `content` bytes of contents, tag and length included.
std::size_t DerElementBytes(std::size_t content);
// The content bytes of a non-negative INTEGER of this magnitude (leading zeros are dropped).
std::size_t DerUnsignedBytes(ByteView magnitude);

// Fills a buffer that was sized with the functions above. Thread rule: like a plain value.
class DerWriter {
 public:
  explicit DerWriter(MutableByteView out) : rest_(out) {}

  // The head of an element; the caller writes its `content` bytes next.
  void Head(DerTag tag, std::size_t content);
  void Raw(ByteView bytes);
  void Unsigned(ByteView magnitude);
  [[nodiscard]] bool IsFull() const { return rest_.empty(); }

 private:
  void Byte(std::size_t value);

  MutableByteView rest_;
};

}  // namespace kms
