// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/rsa_soundness.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "kms/crypto/big_number.h"

namespace kms::internal {

namespace {

// Go's and hence the reference's bound: an exponent is a positive 32-bit integer.
constexpr int kMaxExponentBits = 31;

// The factors of a good key have half of the bits each; some generators miss it by a few.
constexpr int kMaxFactorImbalanceBits = 16;

// FIPS 186-5, A.1.3: |p - q| > 2^(bits/2 - 100), else Fermat's method finds them.
constexpr int kMinDistanceMarginBits = 100;
constexpr int kFermatSteps = 100;

constexpr unsigned kSmallFactorBound = 1000;

// ROCA: the vulnerable library makes primes k * M + (65537^a mod M), M being the product of the
// first primes. So the modulus is a power of 65537 modulo each of them, which chance gives to one
// good modulus in 2^27 (Nemec et al., "The Return of Coppersmith's Attack", 2017, section 2.2).
constexpr unsigned kRocaGenerator = 65537;
constexpr std::array<unsigned, 38> kRocaPrimes = {
    3,  5,  7,  11, 13, 17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
    73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};

struct Numbers {
  BigNumber n, e, d, p, q, d_mod_p, d_mod_q, q_inverse;
};

BigNumber Scratch() { return BigNumber(BN_secure_new()); }
BigNumber PublicScratch() { return BigNumber(BN_new()); }

Error ArithmeticFailed() {
  ERR_clear_error();
  return Internal("arithmetic of an RSA key failed");
}

bool IsPowerOfRocaGenerator(BN_ULONG residue, unsigned prime) {
  const unsigned step = kRocaGenerator % prime;
  unsigned power = 1;
  do {
    if (power == residue) {
      return true;
    }
    power = power * step % prime;
  } while (power != 1);
  return false;
}

bool HasRocaFingerprint(const BIGNUM* modulus) {
  return std::ranges::all_of(kRocaPrimes, [modulus](unsigned prime) {
    return IsPowerOfRocaGenerator(BN_mod_word(modulus, prime), prime);
  });
}

unsigned SmallFactorOf(const BIGNUM* number) {
  for (unsigned factor = 3; factor < kSmallFactorBound; factor += 2) {
    if (BN_mod_word(number, factor) == 0) {
      return factor;
    }
  }
  return 0;
}

// Newton's method from above; `root` becomes the integer part of the square root.
bool SquareRoot(const BIGNUM* number, BIGNUM* root, BN_CTX* context) {
  const BigNumber next = PublicScratch();
  BN_zero(root);
  if (next == nullptr || BN_set_bit(root, (BN_num_bits(number) + 1) / 2) != 1) {
    return false;
  }
  while (true) {
    if (BN_div(next.get(), nullptr, number, root, context) != 1 ||
        BN_add(next.get(), next.get(), root) != 1 || BN_rshift1(next.get(), next.get()) != 1) {
      return false;
    }
    if (BN_cmp(next.get(), root) >= 0) {
      return true;
    }
    if (BN_copy(root, next.get()) == nullptr) {
      return false;
    }
  }
}

// Whether `number` is a square; sets `root` to the integer part of its square root.
Result<bool> IsSquare(const BIGNUM* number, BIGNUM* root, BN_CTX* context) {
  const BigNumber square = PublicScratch();
  if (square == nullptr || !SquareRoot(number, root, context) ||
      BN_sqr(square.get(), root, context) != 1) {
    return ArithmeticFailed();
  }
  return BN_cmp(square.get(), number) == 0;
}

// Fermat's method: n = a^2 - b^2 for the smallest a above its square root, when p and q are close.
Result<bool> HasCloseFactors(const BIGNUM* modulus, const BIGNUM* root, BN_CTX* context) {
  const BigNumber a(BN_dup(root));
  const BigNumber b_squared = PublicScratch();
  const BigNumber b = PublicScratch();
  if (a == nullptr || b_squared == nullptr || b == nullptr) {
    return ArithmeticFailed();
  }
  for (int step = 0; step < kFermatSteps; ++step) {
    if (BN_add_word(a.get(), 1) != 1 || BN_sqr(b_squared.get(), a.get(), context) != 1 ||
        BN_sub(b_squared.get(), b_squared.get(), modulus) != 1) {
      return ArithmeticFailed();
    }
    const bool found = KMS_TRY(IsSquare(b_squared.get(), b.get(), context));
    if (found) {
      return true;
    }
  }
  return false;
}

Status CheckExponent(const BIGNUM* e) {
  if (BN_is_zero(e) || BN_is_one(e)) {
    return InvalidArgument("RSA public exponent is too small");
  }
  if (!BN_is_odd(e)) {
    return InvalidArgument("RSA public exponent is even");
  }
  if (BN_num_bits(e) > kMaxExponentBits) {
    return InvalidArgument("RSA public exponent is too large");
  }
  return Ok();
}

Status CheckModulus(const BIGNUM* n, std::size_t modulus_bits) {
  if (const auto bits = static_cast<std::size_t>(BN_num_bits(n)); bits != modulus_bits) {
    return InvalidArgument("RSA modulus has " + std::to_string(bits) + " bits instead of " +
                           std::to_string(modulus_bits));
  }
  if (!BN_is_odd(n)) {
    return InvalidArgument("RSA modulus is even");
  }
  if (const unsigned factor = SmallFactorOf(n); factor != 0) {
    return InvalidArgument("RSA modulus is divisible by " + std::to_string(factor));
  }
  if (HasRocaFingerprint(n)) {
    return InvalidArgument("RSA modulus has the ROCA fingerprint (CVE-2017-15361)");
  }
  const BigNumberContext context(BN_CTX_new());
  const BigNumber root = PublicScratch();
  if (context == nullptr || root == nullptr) {
    return ArithmeticFailed();
  }
  const bool is_square = KMS_TRY(IsSquare(n, root.get(), context.get()));
  if (is_square) {
    return InvalidArgument("RSA modulus is a square: its factors are equal");
  }
  const bool has_close_factors = KMS_TRY(HasCloseFactors(n, root.get(), context.get()));
  if (has_close_factors) {
    return InvalidArgument("RSA factors are too close to each other");
  }
  return Ok();
}

Status CheckFactors(const Numbers& key, BN_CTX* context) {
  const BigNumber product = Scratch();
  const BigNumber distance = Scratch();
  if (product == nullptr || distance == nullptr ||
      BN_mul(product.get(), key.p.get(), key.q.get(), context) != 1 ||
      BN_sub(distance.get(), key.p.get(), key.q.get()) != 1) {
    return ArithmeticFailed();
  }
  if (BN_cmp(product.get(), key.n.get()) != 0) {
    return InvalidArgument("RSA factors do not multiply to the modulus");
  }
  const int half_bits = BN_num_bits(key.n.get()) / 2;
  if (std::min(BN_num_bits(key.p.get()), BN_num_bits(key.q.get())) <
      half_bits - kMaxFactorImbalanceBits) {
    return InvalidArgument("RSA factors are of unlike size");
  }
  if (BN_num_bits(distance.get()) <= half_bits - kMinDistanceMarginBits) {
    return InvalidArgument("RSA factors are too close to each other");
  }
  return Ok();
}

Status CheckPrime(const BIGNUM* factor, BN_CTX* context) {
  const int outcome = BN_check_prime(factor, context, nullptr);
  if (outcome < 0) {
    return ArithmeticFailed();
  }
  return outcome == 1 ? Ok() : InvalidArgument("RSA factor is not a prime");
}

// RFC 8017, 3.2: e * d = 1 and e * dP = 1 modulo p - 1, likewise q; q * qInv = 1 modulo p.
Status CheckExponentOfFactor(const Numbers& key, const BIGNUM* factor, const BIGNUM* d_mod_factor,
                             BN_CTX* context) {
  const BigNumber order = Scratch();
  const BigNumber product = Scratch();
  const BigNumber reduced = Scratch();
  if (order == nullptr || product == nullptr || reduced == nullptr ||
      BN_sub(order.get(), factor, BN_value_one()) != 1 ||
      BN_mod_mul(product.get(), key.d.get(), key.e.get(), order.get(), context) != 1 ||
      BN_mod(reduced.get(), key.d.get(), order.get(), context) != 1) {
    return ArithmeticFailed();
  }
  if (!BN_is_one(product.get())) {
    return InvalidArgument("RSA private exponent does not match the public one");
  }
  if (BN_cmp(reduced.get(), d_mod_factor) != 0) {
    return InvalidArgument("RSA exponents of the factors do not match the private exponent");
  }
  return Ok();
}

Status CheckPrivateHalf(const Numbers& key, BN_CTX* context) {
  if (BN_is_zero(key.d.get()) || BN_cmp(key.d.get(), key.n.get()) >= 0) {
    return InvalidArgument("RSA private exponent is out of range");
  }
  KMS_TRY(CheckFactors(key, context));
  KMS_TRY(CheckPrime(key.p.get(), context));
  KMS_TRY(CheckPrime(key.q.get(), context));
  KMS_TRY(CheckExponentOfFactor(key, key.p.get(), key.d_mod_p.get(), context));
  KMS_TRY(CheckExponentOfFactor(key, key.q.get(), key.d_mod_q.get(), context));
  const BigNumber product = Scratch();
  if (product == nullptr ||
      BN_mod_mul(product.get(), key.q.get(), key.q_inverse.get(), key.p.get(), context) != 1) {
    return ArithmeticFailed();
  }
  if (!BN_is_one(product.get()) || BN_cmp(key.q_inverse.get(), key.p.get()) >= 0) {
    return InvalidArgument("RSA coefficient does not match the factors");
  }
  return Ok();
}

Result<Numbers> PrivateNumbers(const RsaNumbers& key) {
  Numbers numbers;
  numbers.n = KMS_TRY(PublicBigNumber(key.n));
  numbers.e = KMS_TRY(PublicBigNumber(key.e));
  numbers.d = KMS_TRY(SecretBigNumber(key.d));
  numbers.p = KMS_TRY(SecretBigNumber(key.p));
  numbers.q = KMS_TRY(SecretBigNumber(key.q));
  numbers.d_mod_p = KMS_TRY(SecretBigNumber(key.d_mod_p));
  numbers.d_mod_q = KMS_TRY(SecretBigNumber(key.d_mod_q));
  numbers.q_inverse = KMS_TRY(SecretBigNumber(key.q_inverse));
  return numbers;
}

}  // namespace

Status CheckRsaSoundness(const RsaNumbers& key, std::size_t modulus_bits) {
  const BigNumber n = KMS_TRY(PublicBigNumber(key.n));
  const BigNumber e = KMS_TRY(PublicBigNumber(key.e));
  KMS_TRY(CheckExponent(e.get()));
  if (!key.has_private) {
    return CheckModulus(n.get(), modulus_bits);
  }
  const Numbers numbers = KMS_TRY(PrivateNumbers(key));
  if (BN_cmp(numbers.p.get(), numbers.q.get()) == 0) {
    return InvalidArgument("RSA factors are equal");
  }
  KMS_TRY(CheckModulus(n.get(), modulus_bits));
  const BigNumberContext context(BN_CTX_secure_new());
  if (context == nullptr) {
    return Unavailable("secret memory is exhausted");
  }
  return CheckPrivateHalf(numbers, context.get());
}

}  // namespace kms::internal
