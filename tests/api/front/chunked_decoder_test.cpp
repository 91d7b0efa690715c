// SPDX-License-Identifier: Apache-2.0
// ChunkedDecoder: whole, cut at every position and in place; strict about every byte.
#include "api/front/chunked_decoder.h"

#include <gtest/gtest.h>

#include <string>

namespace kms::api {
namespace {

using Progress = ChunkedDecoder::Progress;

struct Outcome {
  Progress progress;
  int status;
  std::string decoded;
  std::size_t consumed;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome DecodeCut(std::string_view raw, std::size_t cut, std::uint64_t limit) {
  ChunkedDecoder decoder{limit};
  std::string buffer{raw};
  std::size_t produced = 0;
  std::size_t consumed = 0;
  for (const std::size_t end : {cut, raw.size()}) {
    const auto step =
        decoder.Decode(buffer.data() + consumed, end - consumed, buffer.data() + produced);
    consumed += step.consumed;
    produced += step.produced;
  }
  return {decoder.progress(), decoder.refusal().status, buffer.substr(0, produced), consumed};
}

Outcome Decode(std::string_view raw, std::uint64_t limit = 100) {
  const Outcome whole = DecodeCut(raw, raw.size(), limit);
  for (std::size_t cut = 0; cut < raw.size(); ++cut) {
    EXPECT_EQ(DecodeCut(raw, cut, limit), whole) << "cut at " << cut << " of " << raw;
  }
  return whole;
}

TEST(ChunkedDecoder, JoinsChunksAndStopsBehindTheBody) {
  const Outcome outcome = Decode("3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1");
  EXPECT_EQ(outcome.progress, Progress::kComplete);
  EXPECT_EQ(outcome.decoded, "abc0123456789");
  EXPECT_EQ(outcome.consumed, 30U);
}

TEST(ChunkedDecoder, AcceptsAnEmptyBody) {
  EXPECT_EQ(Decode("0\r\n\r\n").progress, Progress::kComplete);
}

TEST(ChunkedDecoder, WaitsForTheRest) {
  EXPECT_EQ(Decode("3\r\nabc\r\n0\r\n").progress, Progress::kNeedMore);
}

TEST(ChunkedDecoder, A8_RefusesEverythingThatIsNotPlain) {
  for (const char* raw : {"\r\n",
                          "0x3\r\nabc\r\n",
                          "3;a=b\r\nabc\r\n",
                          "3;\nabc",
                          " 3\r\nabc\r\n",
                          "3 \r\nabc\r\n",
                          "3\nabc\r\n",
                          "3\rabc\r\n",
                          "3\r\nabcd\r\n",
                          "3\r\nabc\n",
                          "3\r\nabc\r0",
                          "+3\r\nabc\r\n",
                          "-1\r\n",
                          "g\r\n",
                          "000000003\r\nabc",
                          "3\r\nabc0\r\n",
                          "0\r\nTrailer: x\r\n\r\n",
                          "0\r\n\n",
                          "0\r\n\r\r",
                          "0\n\n"}) {
    EXPECT_EQ(Decode(raw).status, 400) << raw;
  }
}

TEST(ChunkedDecoder, A10_CountsDecodedAndRawBytes) {
  EXPECT_EQ(Decode("5\r\n12345\r\n0\r\n\r\n", 5).progress, Progress::kComplete);
  EXPECT_EQ(Decode("6\r\n", 5).status, 413);
  EXPECT_EQ(Decode("3\r\n123\r\n3\r\n", 5).status, 413);
  EXPECT_EQ(Decode("ffffffff\r\n", 5).status, 413);
  std::string tiny;
  for (int i = 0; i < 6000; ++i) {
    tiny += "1\r\nx\r\n";
  }
  EXPECT_EQ(DecodeCut(tiny, tiny.size(), 8000).status, 413);
}

}  // namespace
}  // namespace kms::api
