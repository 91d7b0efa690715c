// SPDX-License-Identifier: Apache-2.0
// HMAC against RFC 4231, RFC 2202 and, for SHA-3, transit-api 16.
#include "kms/crypto/hmac.h"

#include <thread>
#include <vector>

#include "kms/base/base64.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

std::string HexHmac(HashAlgorithm algorithm, ByteView key, std::string_view message) {
  const Result<HashValue> value = ComputeHmac(algorithm, key, AsBytes(message));
  return value ? HexEncode(value->View()) : Describe(value.error());
}

TEST(ComputeHmac, MatchesRfc4231Case2) {
  const ByteView key = AsBytes("Jefe");
  constexpr std::string_view kMessage = "what do ya want for nothing?";
  EXPECT_EQ(HexHmac(HashAlgorithm::kSha2_224, key, kMessage),
            "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44");
  EXPECT_EQ(HexHmac(HashAlgorithm::kSha2_256, key, kMessage),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexHmac(HashAlgorithm::kSha2_384, key, kMessage),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
            "8e2240ca5e69e2c78b3239ecfab21649");
  EXPECT_EQ(HexHmac(HashAlgorithm::kSha2_512, key, kMessage),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}

TEST(ComputeHmac, MatchesRfc4231Case6WithALongKey) {
  const Bytes key(131, 0xaa);
  EXPECT_EQ(HexHmac(HashAlgorithm::kSha2_256, key,
                    "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(ComputeHmac, MatchesRfc2202ForSha1) {
  EXPECT_EQ(HexHmac(HashAlgorithm::kSha1, AsBytes("Jefe"), "what do ya want for nothing?"),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(ComputeHmac, MatchesTheVectorsOfTheContract) {
  const Bytes key = CountingBytes(32, 0x20);
  const auto hmac = [&](HashAlgorithm algorithm) {
    return Base64Encode(ComputeHmac(algorithm, key, AsBytes("hello transit"))->View());
  };
  EXPECT_EQ(hmac(HashAlgorithm::kSha2_256), "zBjSL54sEQ5Nf6crZLIjOZ7JqXTw8JIITO3Thd9hq4E=");
  EXPECT_EQ(hmac(HashAlgorithm::kSha2_512),
            "RElC4CXXCc/9+y1RqM7yjfA+pFv34C3C6+h+F98Y9j6iLKra1m88Jc55r7xn9djtofR1ptylAn1NQjVAtDShSQ==");
  EXPECT_EQ(hmac(HashAlgorithm::kSha3_256), "qOb+hb0SrD4lsQNuM33PNZ9k6AnqowJk0jhnJz6jpEQ=");
}

TEST(ComputeHmac, RefusesTheEmptyKey) {
  EXPECT_THAT(ComputeHmac(HashAlgorithm::kSha2_256, {}, AsBytes("x")),
              HasError(ErrorCode::kInternal));
}

TEST(ComputeHmac, ThreadsAndKeysDoNotDisturbEachOther) {
  const auto value_of = [](std::uint8_t first) {
    return HexHmac(HashAlgorithm::kSha2_256, CountingBytes(32, first), "message");
  };
  const std::string expected[] = {value_of(1), value_of(2)};
  ASSERT_NE(expected[0], expected[1]);
  std::vector<std::jthread> threads;
  for (std::size_t number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      for (int round = 0; round < 500; ++round) {
        EXPECT_EQ(value_of(number % 2 == 0 ? 1 : 2), expected[number % 2]);
      }
    });
  }
}

TEST(CheckHmac, AcceptsNothingButTheWholeValue) {
  const Bytes key = CountingBytes(32, 0x20);
  for (const HashTraits& hash : AllHashes()) {
    const HashValue value = *ComputeHmac(hash.algorithm, key, AsBytes("message"));
    const Bytes good = CopyOf(value.View());
    EXPECT_THAT(CheckHmac(hash.algorithm, key, AsBytes("message"), good), IsOkAndHolds(true));
    EXPECT_THAT(CheckHmac(hash.algorithm, key, AsBytes("massage"), good), IsOkAndHolds(false));
    for (std::size_t i = 0; i < good.size(); ++i) {
      Bytes flipped = good;
      flipped[i] ^= 1U;
      EXPECT_THAT(CheckHmac(hash.algorithm, key, AsBytes("message"), flipped),
                  IsOkAndHolds(false));
      EXPECT_THAT(CheckHmac(hash.algorithm, key, AsBytes("message"), ByteView(good).first(i)),
                  IsOkAndHolds(false));
    }
  }
}

}  // namespace
}  // namespace kms::testing
