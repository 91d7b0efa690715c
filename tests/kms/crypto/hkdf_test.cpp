// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/hkdf.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;

std::string Derive(ByteView input_key, ByteView salt, ByteView info, std::size_t size) {
  const Result<SecretBytes> output = HkdfSha256(input_key, salt, info, size);
  return output.has_value() ? HexEncode(output->View()) : Describe(output.error());
}

Bytes Range(unsigned first, unsigned last) {
  Bytes bytes;
  for (unsigned value = first; value <= last; ++value) {
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

// RFC 5869 appendix A.
TEST(Hkdf, MatchesRfc5869) {
  EXPECT_EQ(Derive(Bytes(22, 0x0b), Range(0x00, 0x0c), Range(0xf0, 0xf9), 42),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(
      Derive(Range(0x00, 0x4f), Range(0x60, 0xaf), Range(0xb0, 0xff), 82),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e"
      "590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(Derive(Bytes(22, 0x0b), {}, {}, 42),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

// transit-api 16: the derivation of the Transit API has no salt and the context as info.
TEST(Hkdf, MatchesTransitDerivation) {
  EXPECT_EQ(Derive(Range(0x00, 0x1f), {}, AsBytes("tenant-42"), 32),
            "18438a692be5429510db08011b98cf6497992dc9a40b0fa6292f292400d5147e");
  EXPECT_EQ(Derive(Range(0x00, 0x1f), {}, AsBytes("tenant-42"), 64),
            "18438a692be5429510db08011b98cf6497992dc9a40b0fa6292f292400d5147e"
            "e103c80c4c308b348787419b376c8a927035defd5adc6584e982c612f9d3a7d9");
}

// Computed with Python's hmac module: info of byte i = i mod 251.
TEST(Hkdf, TakesInfoOfAnyLength) {
  const std::pair<std::size_t, const char*> rows[] = {
      {1024,
       "09e4dca06220ddb93bc9fb8e61e910e84d8e1223abf8dba31a945a54108d8033"
       "af694e790184042b72cb25b18b4b9f7a"},
      {1025,
       "75349de223f1fe94274e892ffc2d1cbc869874296003379dde07544ee150ddcb"
       "48c8f11fd7060ee4b922d8932c94c264"},
      {4096,
       "0a3dd272e164d5d7edc0e149997b40cd27a18015f8f1daa6de8e996cfd78c2f5"
       "59ac7fae6dd9ee1760190a0ffd815795"},
      {65536,
       "91db536dd95d223833adc597af2c59bc4b1f9f83a1b4d1101348915ac5998eb7"
       "3b2e452b75d4cd4f16b2738bdd6eb002"},
  };
  for (const auto& [size, expected] : rows) {
    Bytes info(size);
    for (std::size_t index = 0; index < size; ++index) {
      info[index] = static_cast<std::uint8_t>(index % 251);
    }
    EXPECT_EQ(Derive(Range(0x00, 0x1f), {}, info, 48), expected) << size;
  }
}

TEST(Hkdf, ShorterOutputIsAPrefix) {
  const std::string longest = Derive(Bytes(32, 1), Bytes(32, 2), AsBytes("x"), 8160);
  ASSERT_EQ(longest.size(), 2U * 8160U);
  for (const std::size_t size : {1U, 31U, 32U, 33U, 8159U}) {
    EXPECT_EQ(Derive(Bytes(32, 1), Bytes(32, 2), AsBytes("x"), size), longest.substr(0, 2 * size));
  }
}

TEST(Hkdf, RefusesSizesItCannotServe) {
  EXPECT_THAT(HkdfSha256(Bytes(32), {}, {}, 0), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(HkdfSha256(Bytes(32), {}, {}, 8161), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(HkdfSha256({}, Bytes(32), {}, 32), HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms
