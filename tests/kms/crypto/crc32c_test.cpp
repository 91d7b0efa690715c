// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/crc32c.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;

Bytes Counting(std::uint8_t first, int step) {
  Bytes bytes(32);
  for (std::uint8_t& byte : bytes) {
    byte = first;
    first = static_cast<std::uint8_t>(first + step);
  }
  return bytes;
}

// The code of the CRC's own definition: one bit after the other.
std::uint32_t BitByBit(ByteView bytes) {
  std::uint32_t code = ~0U;
  for (const std::uint8_t byte : bytes) {
    code ^= byte;
    for (int bit = 0; bit < 8; ++bit) {
      code = code >> 1U ^ ((code & 1U) != 0 ? 0x82f63b78U : 0U);
    }
  }
  return ~code;
}

class Crc32cWay : public ::testing::TestWithParam<std::uint32_t (*)(ByteView)> {
 protected:
  void SetUp() override {
    if (GetParam() == &internal::Crc32cByInstruction && !internal::HasCrc32cInstruction()) {
      GTEST_SKIP() << "this processor has no CRC32C instruction";
    }
  }
};

// RFC 3720 appendix B.4; the bytes there are in the order of transmission.
TEST_P(Crc32cWay, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(GetParam()(Bytes(32, 0x00)), 0x8a9136aaU);
  EXPECT_EQ(GetParam()(Bytes(32, 0xff)), 0x62a8ab43U);
  EXPECT_EQ(GetParam()(Counting(0x00, 1)), 0x46dd794eU);
  EXPECT_EQ(GetParam()(Counting(0x1f, -1)), 0x113fdb5cU);
  EXPECT_EQ(GetParam()(FromHex("01c00000000000000000000000000000"
                               "14000000000004000000001400000018"
                               "28000000000000000200000000000000")),
            0xd9963a56U);
}

TEST_P(Crc32cWay, MatchesTheCheckValue) {
  EXPECT_EQ(GetParam()(AsBytes("123456789")), 0xe3069283U);
  EXPECT_EQ(GetParam()({}), 0U);
}

TEST_P(Crc32cWay, IsTheDefinitionAtEveryLengthAndAlignment) {
  std::minstd_rand generator(7);
  Bytes bytes(300);
  std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(generator() >> 8U); });
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t size = 0; start + size <= bytes.size(); ++size) {
      const ByteView part = ByteView(bytes).subspan(start, size);
      ASSERT_EQ(GetParam()(part), BitByBit(part)) << start << " " << size;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryWay, Crc32cWay,
                         ::testing::Values(&Crc32c, &internal::Crc32cByTable,
                                           &internal::Crc32cByInstruction));

TEST(Crc32c, ChangesWithEveryBit) {
  const Bytes original = Counting(3, 5);
  for (std::size_t bit = 0; bit < original.size() * 8; ++bit) {
    Bytes changed = original;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_NE(Crc32c(changed), Crc32c(original)) << bit;
  }
}

}  // namespace
}  // namespace kms
