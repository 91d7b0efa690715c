// SPDX-License-Identifier: Apache-2.0
// Base64, RFC 4648 section 4: standard alphabet, padding required.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

// Characters that `size` bytes encode to.
constexpr std::size_t Base64EncodedSize(std::size_t size) { return (size + 2) / 3 * 4; }
// Upper bound of the bytes that `size` characters decode to.
constexpr std::size_t Base64DecodedBound(std::size_t size) { return size / 4 * 3 + 3; }

std::string Base64Encode(ByteView bytes);
// Appends the encoding of `bytes` to `out`.
void AppendBase64(ByteView bytes, std::string& out);

// Which spellings of one byte string are accepted.
enum class Base64Form : unsigned char {
  kLenient,    // as Go's decoder: CR and LF are skipped, trailing bits may be non-zero
  kCanonical,  // exactly the spelling Base64Encode produces
};

// Decodes into `out` (at least Base64DecodedBound(text.size()) bytes) and returns how many bytes
// were written. Padding is required. Errors: kInvalidArgument
// "illegal base64 data at input byte N", N being the offset of the first bad character.
Result<std::size_t> Base64DecodeInto(std::string_view text, MutableByteView out,
                                     Base64Form form = Base64Form::kLenient);
// The same into a new vector. Not for secrets: decode those into a PlaintextBuffer.
Result<Bytes> Base64Decode(std::string_view text, Base64Form form = Base64Form::kLenient);

}  // namespace kms
