// SPDX-License-Identifier: Apache-2.0
// ChunkedDecoder: RFC 9112 §7.1 without what smugglers use: no extensions, no trailers, CRLF only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "api/front/refusal.h"

namespace kms::api {

// Thread rule: like a plain value.
class ChunkedDecoder {
 public:
  enum class Progress : std::uint8_t { kNeedMore, kComplete, kRefused };

  // Refuses with 413 once the decoded bytes pass `max_decoded_bytes`, or the bytes on the wire
  // pass it by more than an eighth and 16 KiB (which costs honest chunk sizes nothing).
  explicit ChunkedDecoder(std::uint64_t max_decoded_bytes = 0);

  struct Step {
    std::size_t consumed = 0;  // of the input; what follows a complete body is not touched
    std::size_t produced = 0;  // written to the output
  };

  // Decodes `size` bytes at `in` to `out`, which may be the same memory or lie before it (decoded
  // bytes never overtake). After kComplete or kRefused there is nothing more to decode.
  Step Decode(const char* in, std::size_t size, char* out);

  [[nodiscard]] Progress progress() const { return progress_; }
  [[nodiscard]] Refusal refusal() const { return refusal_; }
  [[nodiscard]] std::uint64_t decoded_bytes() const { return decoded_bytes_; }

 private:
  enum class State : std::uint8_t { kSize, kSizeLf, kData, kDataCr, kDataLf, kEndCr, kEndLf };

  void Accept(char byte);
  void AcceptSizeByte(char byte);
  void EndOfSizeLine();
  void Refuse(int status);

  std::uint64_t max_decoded_bytes_;
  std::uint64_t max_raw_bytes_;
  std::uint64_t decoded_bytes_ = 0;
  std::uint64_t raw_bytes_ = 0;
  std::uint64_t chunk_left_ = 0;
  int size_digits_ = 0;
  State state_ = State::kSize;
  Progress progress_ = Progress::kNeedMore;
  Refusal refusal_;
};

}  // namespace kms::api
