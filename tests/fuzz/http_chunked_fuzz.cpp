// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::api::ChunkedDecoder::Decode, in place and cut anywhere.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/front/chunked_decoder.h"

namespace {

using kms::api::ChunkedDecoder;

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct Outcome {
  ChunkedDecoder::Progress progress;
  std::string decoded;
  std::size_t consumed;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome DecodeInPlace(std::string buffer, std::size_t cut) {
  ChunkedDecoder decoder{64};
  std::size_t consumed = 0;
  std::size_t produced = 0;
  for (const std::size_t end : {cut, buffer.size()}) {
    const std::size_t available = std::max(end, consumed) - consumed;
    const auto step = decoder.Decode(buffer.data() + consumed, available, buffer.data() + produced);
    consumed += step.consumed;
    produced += step.produced;
    Require(produced <= consumed && consumed <= buffer.size());
  }
  Require(decoder.decoded_bytes() == produced && produced <= 64);
  return {decoder.progress(), buffer.substr(0, produced), consumed};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string raw{reinterpret_cast<const char*>(data + 1), size - 1};
  Require(DecodeInPlace(raw, raw.size()) == DecodeInPlace(raw, raw.size() * data[0] / 256));
  return 0;
}
