// SPDX-License-Identifier: Apache-2.0
// How small stored records are written: big-endian numbers, texts and bytes with a 4-byte length;
// most begin with a head: a letter that says what kind of record it is, and the version of its
// format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"

namespace kms {

class RecordWriter {
 public:
  RecordWriter() = default;
  RecordWriter(char kind, std::uint8_t format) {
    Put(static_cast<std::uint8_t>(kind));
    Put(format);
  }
  template <typename Number>
  void Put(Number value) {
    for (std::size_t shift = sizeof(Number) * 8; shift > 0; shift -= 8) {
      out_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (shift - 8)));
    }
  }
  void PutFlag(bool flag) { Put(static_cast<std::uint8_t>(flag)); }
  void PutRaw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void PutSized(ByteView bytes) {
    Put(static_cast<std::uint32_t>(bytes.size()));
    PutRaw(bytes);
  }
  void PutText(std::string_view text) { PutSized(AsBytes(text)); }
  Bytes Take() { return std::move(out_); }

 private:
  Bytes out_;
};

// Reads in order; the first read past the end makes every later one fail too.
class RecordReader {
 public:
  explicit RecordReader(ByteView in) : in_(in) {}

  // Any other head is damage. ReadHead, below, is for records that say what is wrong with them.
  void GetHead(char kind, std::uint8_t format) {
    const bool right_kind = Get<std::uint8_t>() == static_cast<std::uint8_t>(kind);
    const bool right_format = Get<std::uint8_t>() == format;
    failed_ = failed_ || !right_kind || !right_format;
  }
  template <typename Number>
  Number Get() {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : GetRaw(sizeof(Number))) {
      value = value << 8U | byte;
    }
    return static_cast<Number>(value);
  }
  // Anything but 0 and 1 is damage.
  bool GetFlag() {
    const auto flag = Get<std::uint8_t>();
    failed_ = failed_ || flag > 1;
    return flag == 1;
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

  // For damage that only the caller can see.
  void Fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }
  // Everything was there and nothing is left.
  [[nodiscard]] bool Finished() const { return !failed_ && in_.empty(); }

 private:
  ByteView in_;
  bool failed_ = false;
};

// kCorrupted: "damaged <what>: <how>".
inline Error DamagedRecord(std::string_view what, std::string_view how) {
  return Corrupted("damaged " + std::string(what) + ": " + std::string(how));
}

// The same for a `number` that no release up to this one writes in that `field`.
inline Error UnknownInRecord(std::string_view what, std::string_view field, std::uint8_t number) {
  return DamagedRecord(what, "unknown " + std::string(field) + " " + std::to_string(number) +
                                 "; it may be of a newer release");
}

// Returns the format of the record, from 1 to the `newest`.
// Errors: kCorrupted, when it is of another kind or of a format that is not known here.
inline Result<std::uint8_t> ReadHead(RecordReader& reader, char kind, std::uint8_t newest,
                                     std::string_view what) {
  if (reader.Get<std::uint8_t>() != static_cast<std::uint8_t>(kind)) {
    return DamagedRecord(what, "not one of ours");
  }
  const auto format = reader.Get<std::uint8_t>();
  if (format == 0 || format > newest) {
    return DamagedRecord(what, "format " + std::to_string(format) +
                                   " is unknown, this release reads " + std::to_string(newest) +
                                   "; it may be of a newer release");
  }
  return format;
}

}  // namespace kms
