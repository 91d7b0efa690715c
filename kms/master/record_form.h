// SPDX-License-Identifier: Apache-2.0
// How the records of this room are written: big-endian numbers, texts and bytes with a 4-byte
// length, a kind and a format first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"

namespace kms::record_form {

class Writer {
 public:
  template <typename Number>
  void Put(Number value) {
    for (std::size_t shift = sizeof(Number) * 8; shift > 0; shift -= 8) {
      out_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (shift - 8)));
    }
  }
  void PutRaw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void PutSized(ByteView bytes) {
    Put(static_cast<std::uint32_t>(bytes.size()));
    PutRaw(bytes);
  }
  Bytes Take() { return std::move(out_); }

 private:
  Bytes out_;
};

// Reads in order; the first read past the end makes every later one fail too.
class Reader {
 public:
  explicit Reader(ByteView in) : in_(in) {}

  template <typename Number>
  Number Get() {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : GetRaw(sizeof(Number))) value = value << 8U | byte;
    return static_cast<Number>(value);
  }
  ByteView GetRaw(std::size_t size) {
    if (failed_ || size > in_.size()) {
      failed_ = true;
      return {};
    }
    const ByteView taken = in_.first(size);
    in_ = in_.subspan(size);
    return taken;
  }
  ByteView GetSized() { return GetRaw(Get<std::uint32_t>()); }
  std::string GetText() { return std::string(AsText(GetSized())); }
  Uuid GetUuid() { return Uuid::FromBytes(GetRaw(Uuid::kBytes)).value_or(Uuid()); }

  // Everything was there and nothing is left.
  [[nodiscard]] bool Finished() const { return !failed_ && in_.empty(); }

 private:
  ByteView in_;
  bool failed_ = false;
};

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
