// SPDX-License-Identifier: Apache-2.0
// What the records of this room share: a kind and a format first, and the words for damage.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/record_codec.h"
#include "kms/base/result.h"

namespace kms::record_form {

using Writer = RecordWriter;
using Reader = RecordReader;

inline Error Damaged(std::string_view what, std::string_view how) {
  return Corrupted("damaged " + std::string(what) + ": " + std::string(how));
}

inline Error Unknown(std::string_view what, std::string_view field, std::uint8_t number) {
  return Damaged(what, "unknown " + std::string(field) + " " + std::to_string(number) +
                           "; it may be of a newer release");
}

inline Status CheckHead(Reader& reader, std::uint8_t kind, std::uint8_t known_format,
                        std::string_view what) {
  if (reader.Get<std::uint8_t>() != kind) return Damaged(what, "not one of ours");
  const auto format = reader.Get<std::uint8_t>();
  if (format != known_format) return Unknown(what, "format", format);
  return Ok();
}

}  // namespace kms::record_form
