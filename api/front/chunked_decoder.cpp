// SPDX-License-Identifier: Apache-2.0
// ChunkedDecoder: a state machine per byte, except for chunk data, which moves in blocks.
#include "api/front/chunked_decoder.h"

#include <algorithm>
#include <cstring>

#include "api/front/percent.h"

namespace kms::api {
namespace {

constexpr int kMaxSizeDigits = 8;
constexpr std::uint64_t kRawSlackBytes = 16U << 10U;

}  // namespace

ChunkedDecoder::ChunkedDecoder(std::uint64_t max_decoded_bytes)
    : max_decoded_bytes_(max_decoded_bytes),
      max_raw_bytes_(max_decoded_bytes + max_decoded_bytes / 8 + kRawSlackBytes) {}

ChunkedDecoder::Step ChunkedDecoder::Decode(const char* in, std::size_t size, char* out) {
  Step step;
  while (step.consumed < size && progress_ == Progress::kNeedMore) {
    if (raw_bytes_ == max_raw_bytes_) {
      Refuse(413);
      break;
    }
    if (state_ != State::kData) {
      Accept(in[step.consumed]);
      ++step.consumed;
      ++raw_bytes_;
      continue;
    }
    const std::uint64_t wanted = std::min(chunk_left_, max_raw_bytes_ - raw_bytes_);
    const std::size_t block = std::min<std::uint64_t>(size - step.consumed, wanted);
    std::memmove(out + step.produced, in + step.consumed, block);
    step.consumed += block;
    step.produced += block;
    raw_bytes_ += block;
    decoded_bytes_ += block;
    chunk_left_ -= block;
    if (chunk_left_ == 0) {
      state_ = State::kDataCr;
    }
  }
  return step;
}

void ChunkedDecoder::Accept(char byte) {
  const auto expect = [&](char wanted, State next) {
    if (byte != wanted) {
      Refuse(400);
      return;
    }
    state_ = next;
  };
  switch (state_) {
    case State::kSize: AcceptSizeByte(byte); return;
    case State::kSizeLf:
      expect('\n', State::kData);
      EndOfSizeLine();
      return;
    case State::kDataCr: expect('\r', State::kDataLf); return;
    case State::kDataLf:
      expect('\n', State::kSize);
      size_digits_ = 0;
      return;
    case State::kEndCr: expect('\r', State::kEndLf); return;
    case State::kEndLf:
      expect('\n', State::kEndLf);
      if (progress_ == Progress::kNeedMore) {
        progress_ = Progress::kComplete;
      }
      return;
    case State::kData: return;
  }
}

void ChunkedDecoder::AcceptSizeByte(char byte) {
  if (byte == '\r' && size_digits_ > 0) {
    state_ = State::kSizeLf;
    return;
  }
  const int digit = HexDigit(byte);
  if (digit < 0 || size_digits_ == kMaxSizeDigits) {
    Refuse(400);
    return;
  }
  chunk_left_ = chunk_left_ * 16 + static_cast<std::uint64_t>(digit);
  ++size_digits_;
}

void ChunkedDecoder::EndOfSizeLine() {
  if (progress_ != Progress::kNeedMore) {
    return;
  }
  if (chunk_left_ > max_decoded_bytes_ - decoded_bytes_) {
    Refuse(413);
    return;
  }
  state_ = chunk_left_ == 0 ? State::kEndCr : State::kData;
}

void ChunkedDecoder::Refuse(int status) {
  progress_ = Progress::kRefused;
  refusal_ = status == 413 ? Refusal{413, "http: request body too large"}
                           : Refusal{400, "malformed chunked body"};
}

}  // namespace kms::api
