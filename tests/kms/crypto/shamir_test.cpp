// SPDX-License-Identifier: Apache-2.0
// Splitting and combining: any `threshold` shares open, fewer say nothing.
#include "kms/crypto/shamir.h"

#include <gmock/gmock.h>

#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "kms/base/random.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::kms::testing::FromHex;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;

SecretBytes Secret(ByteView bytes) { return SecretBytes::CopyOf(bytes).value(); }

SecretBytes RandomSecret(std::size_t size = 32) {
  SecretBytes secret = SecretBytes::OfSize(size).value();
  FillRandom(secret.MutableView());
  return secret;
}

SecretShare ShareOf(std::uint8_t number, std::string_view hex) {
  return {.number = number, .value = Secret(FromHex(hex))};
}

SecretShare Copy(const SecretShare& share) {
  return {.number = share.number, .value = share.value.Clone().value()};
}

// The shares whose place is a set bit of `mask`.
std::vector<SecretShare> Subset(const std::vector<SecretShare>& shares, unsigned mask) {
  std::vector<SecretShare> chosen;
  for (std::size_t index = 0; index < shares.size(); ++index) {
    if ((mask >> index & 1U) != 0) {
      chosen.push_back(Copy(shares[index]));
    }
  }
  return chosen;
}

// Computed with logarithms to the generator 3, by another program: secret 00 01 … 1f, coefficients
// 7i + 1 and f0 ^ 5i at byte i.
TEST(CombineShares, OpensSharesOfAnotherImplementation) {
  const std::vector<SecretShare> shares = [] {
    std::vector<SecretShare> made;
    made.push_back(ShareOf(1, "f1fcf7eafdc8c3e6e9948f8295e0dbdec1ccc73a0d1813363924dfd2a5b0abae"));
    made.push_back(ShareOf(2, "efe8d9fe83c4c50237d0a1a6bb4726014443728e737475724760bcbb66012007"));
    made.push_back(ShareOf(3, "1e152c177a0900e3d64d242f22aaf3d0959ea7a76a797053665d7972dfac95b6"));
    made.push_back(ShareOf(5, "6c15f2db4b4a0db122f01c65ae6ed928f0896e0a8c2d6a60f3da542d1de7f001"));
    made.push_back(ShareOf(32, "778a3bf0ef05e2d15c2308f5461da01021dc6db9890fe89815de38c5c2e83989"));
    return made;
  }();
  Bytes secret(32);
  for (std::size_t index = 0; index < secret.size(); ++index) {
    secret[index] = static_cast<std::uint8_t>(index);
  }
  for (unsigned mask = 0; mask < 32; ++mask) {
    if (std::popcount(mask) >= 3) {
      const auto opened = CombineShares(Subset(shares, mask));
      ASSERT_THAT(opened, IsOk());
      EXPECT_EQ(CopyOf(opened->View()), secret) << mask;
    }
  }
}

TEST(SplitSecret, OpensByEverySubsetThatIsLargeEnoughAndNoOther) {
  for (std::size_t count = 1; count <= 6; ++count) {
    for (std::size_t threshold = 1; threshold <= count; ++threshold) {
      const SecretBytes secret = RandomSecret();
      const auto shares = SplitSecret(secret, threshold, count);
      ASSERT_THAT(shares, IsOk());
      ASSERT_EQ(shares->size(), count);
      for (unsigned mask = 1; mask < 1U << count; ++mask) {
        const auto opened = CombineShares(Subset(*shares, mask));
        ASSERT_THAT(opened, IsOk());
        const bool enough = static_cast<std::size_t>(std::popcount(mask)) >= threshold;
        EXPECT_EQ(*opened == secret, enough) << threshold << " of " << count << ", " << mask;
      }
    }
  }
}

TEST(SplitSecret, ServesThirtyTwoHolders) {
  const SecretBytes secret = RandomSecret();
  const auto shares = SplitSecret(secret, 32, 32);
  ASSERT_THAT(shares, IsOk());
  EXPECT_TRUE(CombineShares(*shares).value() == secret);
}

TEST(SplitSecret, NumbersSharesFromOne) {
  const auto shares = SplitSecret(RandomSecret(), 2, 3);
  ASSERT_THAT(shares, IsOk());
  EXPECT_EQ((*shares)[0].number, 1);
  EXPECT_EQ((*shares)[2].number, 3);
}

// With fewer than the threshold every value of a share byte is as likely for one secret as for
// another: chi-squared of 255 degrees of freedom, whose 1 - 10^-9 quantile is about 400.
TEST(SplitSecret, TellsNothingByTooFewShares) {
  constexpr std::size_t kRounds = 400;
  for (const std::uint8_t byte : {std::uint8_t{0x00}, std::uint8_t{0xff}}) {
    SecretBytes secret = SecretBytes::OfSize(64).value();
    for (std::uint8_t& each : secret.MutableView()) {
      each = byte;
    }
    std::array<double, 256> seen{};
    for (std::size_t round = 0; round < kRounds; ++round) {
      const auto shares = SplitSecret(secret, 2, 3);
      ASSERT_THAT(shares, IsOk());
      for (const std::uint8_t value : (*shares)[1].value.View()) {
        seen[value] += 1;
      }
    }
    const double expected = static_cast<double>(kRounds * secret.size()) / 256;
    double chi_squared = 0;
    for (const double count : seen) {
      chi_squared += (count - expected) * (count - expected) / expected;
    }
    EXPECT_LT(chi_squared, 420) << int{byte};
  }
}

TEST(SplitSecret, MakesSharesThatDoNotHelpThoseOfAnotherSplit) {
  const SecretBytes secret = RandomSecret();
  const auto before = SplitSecret(secret, 2, 3);
  const auto after = SplitSecret(secret, 2, 3);
  ASSERT_THAT(before, IsOk());
  ASSERT_THAT(after, IsOk());
  std::vector<SecretShare> mixed;
  mixed.push_back(Copy((*before)[0]));
  mixed.push_back(Copy((*after)[1]));
  EXPECT_FALSE(CombineShares(mixed).value() == secret);
}

TEST(CombineShares, GivesAnotherSecretWhenOneShareIsWrong) {
  const SecretBytes secret = RandomSecret();
  auto shares = SplitSecret(secret, 2, 2);
  ASSERT_THAT(shares, IsOk());
  (*shares)[1].value.MutableView()[7] ^= 1;
  EXPECT_FALSE(CombineShares(*shares).value() == secret);
}

TEST(SplitSecret, RefusesWhatCannotBeSplit) {
  const SecretBytes secret = RandomSecret();
  EXPECT_THAT(SplitSecret(secret, 0, 3), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(SplitSecret(secret, 4, 3), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(SplitSecret(secret, 2, 33), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(SplitSecret(SecretBytes(), 2, 3), HasError(ErrorCode::kInvalidArgument));
}

TEST(CombineShares, RefusesSharesThatCannotBelongTogether) {
  EXPECT_THAT(CombineShares({}), HasError(ErrorCode::kInvalidArgument));
  const auto refuses = [](std::uint8_t a, std::string_view x, std::uint8_t b, std::string_view y) {
    std::vector<SecretShare> shares;
    shares.push_back(ShareOf(a, x));
    shares.push_back(ShareOf(b, y));
    EXPECT_THAT(CombineShares(shares), HasError(ErrorCode::kInvalidArgument));
  };
  refuses(1, "0102", 1, "0304");
  refuses(0, "0102", 1, "0304");
  refuses(1, "0102", 33, "0304");
  refuses(1, "0102", 2, "03");
  refuses(1, "", 2, "");
}

}  // namespace
}  // namespace kms
