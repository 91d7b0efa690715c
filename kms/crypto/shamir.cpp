// SPDX-License-Identifier: Apache-2.0
// No tables, no branches on secrets: a multiplication is eight conditional additions by mask.
#include "kms/crypto/shamir.h"

#include <string>
#include <utility>

#include "kms/base/random.h"

namespace kms {

namespace {

constexpr unsigned kReduction = 0x1B;  // x^8 = x^4 + x^3 + x + 1

// All ones when the lowest bit of `value` is set, else zero.
constexpr unsigned MaskOfLowBit(unsigned value) { return 0U - (value & 1U); }

constexpr std::uint8_t Multiply(std::uint8_t a, std::uint8_t b) {
  unsigned product = 0;
  unsigned shifted = a;
  unsigned bits = b;
  for (int step = 0; step < 8; ++step) {
    product ^= shifted & MaskOfLowBit(bits);
    shifted = (shifted << 1U) ^ (kReduction & MaskOfLowBit(shifted >> 7U));
    shifted &= 0xFFU;
    bits >>= 1U;
  }
  return static_cast<std::uint8_t>(product);
}

// a^254, which is 1/a; 0 for 0.
constexpr std::uint8_t Invert(std::uint8_t a) {
  std::uint8_t power = a;
  std::uint8_t inverse = 1;
  for (int step = 0; step < 7; ++step) {  // 254 = 2 + 4 + … + 128
    power = Multiply(power, power);
    inverse = Multiply(inverse, power);
  }
  return inverse;
}
static_assert(Multiply(0x57, 0x83) == 0xC1);  // FIPS 197, 4.2
static_assert(Multiply(0x53, Invert(0x53)) == 1 && Invert(1) == 1 && Invert(0) == 0);

// Horner's rule: value = value * x + coefficient, for every byte.
void MultiplyAndAdd(MutableByteView value, std::uint8_t x, ByteView coefficient) {
  for (std::size_t index = 0; index < value.size(); ++index) {
    value[index] = static_cast<std::uint8_t>(Multiply(value[index], x) ^ coefficient[index]);
  }
}

// Lagrange's coefficient at 0 of the share `number`: product of x / (x - number) over the others.
// Numbers are public.
std::uint8_t WeightOf(std::uint8_t number, std::span<const SecretShare> shares) {
  std::uint8_t weight = 1;
  for (const SecretShare& other : shares) {
    if (other.number != number) {
      const auto difference = static_cast<std::uint8_t>(other.number ^ number);
      weight = Multiply(weight, Multiply(other.number, Invert(difference)));
    }
  }
  return weight;
}

Status CheckShares(std::span<const SecretShare> shares) {
  if (shares.empty() || shares.size() > kMaxSecretShares) {
    return InvalidArgument("a secret is combined from 1 to 32 shares");
  }
  std::uint64_t seen = 0;
  for (const SecretShare& share : shares) {
    if (share.number == 0 || share.number > kMaxSecretShares) {
      return InvalidArgument("a share has a number from 1 to 32");
    }
    const std::uint64_t bit = std::uint64_t{1} << share.number;
    if ((seen & bit) != 0) {
      return InvalidArgument("share " + std::to_string(share.number) + " is given twice");
    }
    if (share.value.empty() || share.value.size() != shares.front().value.size()) {
      return InvalidArgument("shares of one secret have one size");
    }
    seen |= bit;
  }
  return Ok();
}

}  // namespace

Result<std::vector<SecretShare>> SplitSecret(const SecretBytes& secret, std::size_t threshold,
                                             std::size_t count) {
  if (secret.empty() || threshold == 0 || threshold > count || count > kMaxSecretShares) {
    return InvalidArgument("a secret is split into at most 32 shares of which at least 1 opens it");
  }
  // One after the other, of degree threshold - 1 first.
  SecretBytes coefficients = KMS_TRY(SecretBytes::OfSize(secret.size() * (threshold - 1)));
  FillRandom(coefficients.MutableView());
  std::vector<SecretShare> shares;
  for (std::size_t number = 1; number <= count; ++number) {
    SecretShare share{.number = static_cast<std::uint8_t>(number),
                      .value = KMS_TRY(SecretBytes::OfSize(secret.size()))};
    for (std::size_t degree = 0; degree + 1 < threshold; ++degree) {
      MultiplyAndAdd(share.value.MutableView(), share.number,
                     coefficients.View().subspan(degree * secret.size(), secret.size()));
    }
    MultiplyAndAdd(share.value.MutableView(), share.number, secret.View());
    shares.push_back(std::move(share));
  }
  return shares;
}

Result<SecretBytes> CombineShares(std::span<const SecretShare> shares) {
  KMS_TRY(CheckShares(shares));
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(shares.front().value.size()));
  const MutableByteView out = secret.MutableView();
  for (const SecretShare& share : shares) {
    const std::uint8_t weight = WeightOf(share.number, shares);
    const ByteView value = share.value.View();
    for (std::size_t index = 0; index < out.size(); ++index) {
      out[index] = static_cast<std::uint8_t>(out[index] ^ Multiply(value[index], weight));
    }
  }
  return secret;
}

}  // namespace kms
