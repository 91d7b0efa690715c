// SPDX-License-Identifier: Apache-2.0
// failures C14: keys that are well-formed and protect nothing, each refused with its own reason.
// The numbers come from OpenSSL's big numbers, so that no bad key is a secret of this file.
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "kms/crypto/big_number.h"
#include "kms/crypto/key_import.h"
#include "tests/support/der_builder.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using namespace kms::testing;  // NOLINT: the builders of this test
using internal::BigNumber;
using ::testing::StartsWith;
using enum AsymmetricAlgorithm;

constexpr std::string_view kPrivate = "error importing key: error parsing asymmetric key: ";
constexpr std::string_view kPublic = "error importing key: error parsing public key: ";

std::string Text(std::string_view context, std::string_view reason) {
  std::string text(context);
  text += reason;
  return text;
}

// ---- arithmetic -------------------------------------------------------------------------------

BN_CTX* Workspace() {
  static const internal::BigNumberContext context(BN_CTX_new());
  return context.get();
}

// A number with the operators that the bad keys need.
class Number {
 public:
  Number() : number_(BN_new()) {}
  explicit Number(BN_ULONG value) : Number() { EXPECT_EQ(BN_set_word(number_.get(), value), 1); }
  Number(const Number& other) : number_(BN_dup(other.get())) {}
  Number& operator=(const Number& other) {
    number_.reset(BN_dup(other.get()));
    return *this;
  }

  static Number OfBytes(const Bytes& bytes) {
    Number number;
    EXPECT_NE(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), number.get()), nullptr);
    return number;
  }
  static Number PrimeOf(int bits) {
    Number number;
    EXPECT_EQ(BN_generate_prime_ex2(number.get(), bits, 0, nullptr, nullptr, nullptr, Workspace()),
              1);
    return number;
  }

  [[nodiscard]] BIGNUM* get() const { return number_.get(); }
  [[nodiscard]] Bytes ToBytes() const {
    Bytes bytes(static_cast<std::size_t>(BN_num_bytes(get())));
    BN_bn2bin(get(), bytes.data());
    return bytes;
  }

  friend Number operator+(const Number& a, const Number& b) {
    Number sum;
    EXPECT_EQ(BN_add(sum.get(), a.get(), b.get()), 1);
    return sum;
  }
  friend Number operator-(const Number& a, const Number& b) {
    Number difference;
    EXPECT_EQ(BN_sub(difference.get(), a.get(), b.get()), 1);
    return difference;
  }
  friend Number operator*(const Number& a, const Number& b) {
    Number product;
    EXPECT_EQ(BN_mul(product.get(), a.get(), b.get(), Workspace()), 1);
    return product;
  }
  friend Number operator%(const Number& a, const Number& b) {
    Number rest;
    EXPECT_EQ(BN_mod(rest.get(), a.get(), b.get(), Workspace()), 1);
    return rest;
  }
  friend Number operator/(const Number& a, const Number& b) {
    Number quotient;
    EXPECT_EQ(BN_div(quotient.get(), nullptr, a.get(), b.get(), Workspace()), 1);
    return quotient;
  }
  friend bool operator==(const Number& a, const Number& b) { return BN_cmp(a.get(), b.get()) == 0; }

 private:
  BigNumber number_;
};

Number Inverse(const Number& value, const Number& modulus) {
  Number inverse;
  EXPECT_NE(BN_mod_inverse(inverse.get(), value.get(), modulus.get(), Workspace()), nullptr);
  return inverse;
}

Number PowerOfTwo(int exponent) {
  Number power(0);
  EXPECT_EQ(BN_set_bit(power.get(), exponent), 1);
  return power;
}

const Number kOne(1);

// ---- RSA --------------------------------------------------------------------------------------

struct Rsa {
  Number n, e, d, p, q, d_mod_p, d_mod_q, q_inverse;
};

// Consistent numbers from two factors and an exponent that has an inverse.
Rsa RsaOf(const Number& p, const Number& q, const Number& e = Number(65537)) {
  const Number order = (p - kOne) * (q - kOne);
  const Number d = Inverse(e, order);
  return {p * q, e, d, p, q, d % (p - kOne), d % (q - kOne), Inverse(q, p)};
}

const Rsa& GoodRsa() {
  static const Rsa key = [] {  // primes of BN_generate_prime have their two top bits set
    while (true) {
      const Number p = Number::PrimeOf(1024);
      const Number q = Number::PrimeOf(1024);
      const Number e(65537);
      if (!((p - kOne) % e == Number(0)) && !((q - kOne) % e == Number(0))) {
        return RsaOf(p, q);
      }
    }
  }();
  return key;
}

Bytes Encoded(const Rsa& key) {
  return PrivateKeyInfo(
      DerSequence({DerIdentifier(kRsaOid), {0x05, 0x00}}),
      DerSequence({DerInteger({0}), DerInteger(key.n.ToBytes()), DerInteger(key.e.ToBytes()),
                   DerInteger(key.d.ToBytes()), DerInteger(key.p.ToBytes()),
                   DerInteger(key.q.ToBytes()), DerInteger(key.d_mod_p.ToBytes()),
                   DerInteger(key.d_mod_q.ToBytes()), DerInteger(key.q_inverse.ToBytes())}));
}

Bytes EncodedPublic(const Number& n, const Number& e) {
  return SubjectPublicKeyInfo(DerSequence({DerIdentifier(kRsaOid), {0x05, 0x00}}),
                              DerSequence({DerInteger(n.ToBytes()), DerInteger(e.ToBytes())}));
}

void ExpectRefused(const Rsa& key, std::string_view reason) {
  EXPECT_THAT(ImportPrivateKey(kRsa2048, Encoded(key)),
              HasError(ErrorCode::kInvalidArgument, Text(kPrivate, reason)));
}

void ExpectPublicRefused(const Number& n, const Number& e, std::string_view reason) {
  EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(n, e)),
              HasError(ErrorCode::kInvalidArgument, Text(kPublic, reason)));
}

TEST(RsaSoundness, AGoodKeyIsTakenWithEitherHalf) {
  EXPECT_THAT(ImportPrivateKey(kRsa2048, Encoded(GoodRsa())), IsOk());
  EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(GoodRsa().n, GoodRsa().e)), IsOk());
}

TEST(RsaSoundness, AKeyWhosePrivateExponentComesFromEulersOrCarmichaelsFunctionIsTaken) {
  Rsa key = GoodRsa();
  Number divisor;
  ASSERT_EQ(BN_gcd(divisor.get(), (key.p - kOne).get(), (key.q - kOne).get(), Workspace()), 1);
  key.d = Inverse(key.e, (key.p - kOne) * (key.q - kOne) / divisor);
  EXPECT_THAT(ImportPrivateKey(kRsa2048, Encoded(key)), IsOk());
}

TEST(RsaSoundness, C14_ExponentOneZeroEvenOrHugeIsRefused) {
  struct Row {
    Number e;
    std::string_view reason;
  };
  for (const Row& row : {Row{Number(1), "RSA public exponent is too small"},
                         Row{Number(0), "RSA public exponent is too small"},
                         Row{Number(2), "RSA public exponent is even"},
                         Row{Number(65536), "RSA public exponent is even"},
                         Row{PowerOfTwo(31) + kOne, "RSA public exponent is too large"},
                         Row{PowerOfTwo(256) + kOne, "RSA public exponent is too large"}}) {
    Rsa key = GoodRsa();
    key.e = row.e;
    ExpectRefused(key, row.reason);
    ExpectPublicRefused(key.n, key.e, row.reason);
  }
  Rsa trivial = GoodRsa();  // consistent in itself: everything is its own ciphertext
  trivial.e = trivial.d = trivial.d_mod_p = trivial.d_mod_q = kOne;
  ExpectRefused(trivial, "RSA public exponent is too small");
}

TEST(RsaSoundness, ExponentThreeIsNoReasonToRefuse) {
  EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(GoodRsa().n, Number(3))), IsOk());
}

TEST(RsaSoundness, C14_ModulusOfAnotherSizeIsRefused) {
  const Number small = Number::PrimeOf(512) * Number::PrimeOf(512);
  EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(small, Number(65537))),
              HasError(ErrorCode::kInvalidArgument,
                       "error importing key: invalid key size: expected 256 bytes, got 128 bytes"));
  const Number nearly = PowerOfTwo(2046) + kOne;
  ExpectPublicRefused(nearly, Number(65537), "RSA modulus has 2047 bits instead of 2048");
  EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(PowerOfTwo(2048), Number(65537))),
              HasError(ErrorCode::kInvalidArgument,
                       "error importing key: invalid key size: expected 256 bytes, got 257 bytes"));
  EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(Number(0), Number(65537))),
              HasError(ErrorCode::kInvalidArgument,
                       "error importing key: invalid key size: expected 256 bytes, got 0 bytes"));
}

TEST(RsaSoundness, C14_EvenModulusIsRefused) {
  Rsa key = GoodRsa();
  key.n = key.n - kOne;
  ExpectRefused(key, "RSA modulus is even");
  ExpectPublicRefused(key.n, key.e, "RSA modulus is even");
}

TEST(RsaSoundness, C14_ModulusWithASmallFactorIsRefused) {
  for (const BN_ULONG factor : {3U, 7U, 509U, 997U}) {
    const Number twice(2 * factor);
    const Number n = GoodRsa().n - GoodRsa().n % twice + Number(factor);  // an odd multiple
    EXPECT_THAT(ImportPublicKeyDer(kRsa2048, EncodedPublic(n, Number(65537))),
                HasError(ErrorCode::kInvalidArgument,
                         StartsWith(Text(kPublic, "RSA modulus is divisible by "))));
  }
}

TEST(RsaSoundness, C14_EqualFactorsAreRefused) {
  Rsa key = GoodRsa();
  key.q = key.p;
  key.n = key.p * key.p;
  ExpectRefused(key, "RSA factors are equal");
  const Number square = GoodRsa().p * GoodRsa().p;
  ExpectPublicRefused(square, Number(65537), "RSA modulus is a square: its factors are equal");
}

Number NextPrime(Number number) {
  do {
    number = number + Number(2);
  } while (BN_check_prime(number.get(), Workspace(), nullptr) != 1);
  return number;
}

TEST(RsaSoundness, C14_CloseFactorsAreRefused) {
  const Number p = GoodRsa().p;
  const Number q = NextPrime(p);
  ExpectPublicRefused(p * q, Number(65537), "RSA factors are too close to each other");
  ExpectRefused(RsaOf(p, q), "RSA factors are too close to each other");
}

// Too far for Fermat's method in a few steps, nearer than FIPS 186-5 allows.
TEST(RsaSoundness, C14_FactorsNearerThanTheStandardAllowsAreRefused) {
  const Number p = GoodRsa().p;
  Number q = NextPrime(p + PowerOfTwo(900));
  ASSERT_EQ(BN_num_bits((p * q).get()), 2048);
  ExpectRefused(RsaOf(p, q), "RSA factors are too close to each other");
}

TEST(RsaSoundness, C14_FactorsOfAnotherModulusAreRefused) {
  Rsa key = GoodRsa();
  key.q = key.q + Number(2);
  ExpectRefused(key, "RSA factors do not multiply to the modulus");
  key = GoodRsa();
  key.n = key.n + Number(2);
  while (true) {  // past the checks of the modulus alone
    const Result<AsymmetricKey> alone = ImportPublicKeyDer(kRsa2048, EncodedPublic(key.n, key.e));
    if (alone.has_value()) {
      break;
    }
    key.n = key.n + Number(2);
  }
  ExpectRefused(key, "RSA factors do not multiply to the modulus");
}

TEST(RsaSoundness, C14_FactorsOfUnlikeSizeAreRefused) {
  const Number small = Number::PrimeOf(256);
  const Number large = Number::PrimeOf(1792);
  ExpectRefused(RsaOf(small, large), "RSA factors are of unlike size");
  Rsa one = GoodRsa();
  one.p = one.n;
  one.q = kOne;
  ExpectRefused(one, "RSA factors are of unlike size");
}

TEST(RsaSoundness, C14_FactorsThatAreNoPrimesAreRefused) {
  const Number e(65537);
  Rsa key;
  do {  // p = r * s, each of 512 bits: consistent, and factored by whoever made it
    const Number composite = Number::PrimeOf(512) * Number::PrimeOf(512);
    Number divisor;
    ASSERT_EQ(BN_gcd(divisor.get(), e.get(), (composite - kOne).get(), Workspace()), 1);
    if (!(divisor == kOne)) {
      continue;
    }
    key = RsaOf(composite, GoodRsa().q);
  } while (BN_num_bits(key.n.get()) != 2048);
  ExpectRefused(key, "RSA factor is not a prime");
}

TEST(RsaSoundness, C14_PrivateExponentThatDoesNotMatchIsRefused) {
  Rsa key = GoodRsa();
  key.d = key.d + Number(2);
  ExpectRefused(key, "RSA private exponent does not match the public one");
  key = GoodRsa();
  key.e = Number(3);
  ExpectRefused(key, "RSA private exponent does not match the public one");
  key = GoodRsa();
  key.d = Number(0);
  ExpectRefused(key, "RSA private exponent is out of range");
  key.d = GoodRsa().d + GoodRsa().n;
  ExpectRefused(key, "RSA private exponent is out of range");
}

TEST(RsaSoundness, C14_NumbersOfTheChineseRemainderThatDoNotMatchAreRefused) {
  Rsa key = GoodRsa();
  key.d_mod_p = key.d_mod_p + kOne;
  ExpectRefused(key, "RSA exponents of the factors do not match the private exponent");
  key = GoodRsa();
  key.d_mod_q = Number(0);
  ExpectRefused(key, "RSA exponents of the factors do not match the private exponent");
  key = GoodRsa();
  key.q_inverse = key.q_inverse + kOne;
  ExpectRefused(key, "RSA coefficient does not match the factors");
  key = GoodRsa();
  key.q_inverse = key.q_inverse + key.p;
  ExpectRefused(key, "RSA coefficient does not match the factors");
}

// As the flawed library makes them: k * M + (65537^a mod M), M being the product of the first
// primes.
Number RocaPrime(int bits) {
  constexpr int kPrimesInM = 71;  // those for keys of 1024 to 1952 bits
  Number m(1);
  Number prime(2);
  for (int count = 0; count < kPrimesInM; ++count) {
    m = m * prime;
    do {
      prime = prime + kOne;
    } while (BN_check_prime(prime.get(), Workspace(), nullptr) != 1);
  }
  while (true) {
    Number a, k, power;
    EXPECT_EQ(BN_rand_range(a.get(), m.get()), 1);
    EXPECT_EQ(BN_rand(k.get(), bits - BN_num_bits(m.get()), BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY),
              1);
    EXPECT_EQ(BN_mod_exp(power.get(), Number(65537).get(), a.get(), m.get(), Workspace()), 1);
    const Number candidate = k * m + power;
    if (BN_num_bits(candidate.get()) == bits &&
        BN_check_prime(candidate.get(), Workspace(), nullptr) == 1) {
      return candidate;
    }
  }
}

TEST(RsaSoundness, C14_RocaFingerprintIsRefused) {
  Number p, q;
  do {
    p = RocaPrime(1024);
    q = RocaPrime(1024);
  } while (BN_num_bits((p * q).get()) != 2048);
  constexpr std::string_view kReason = "RSA modulus has the ROCA fingerprint (CVE-2017-15361)";
  ExpectRefused(RsaOf(p, q), kReason);
  ExpectPublicRefused(p * q, Number(65537), kReason);
}

// ---- EC ---------------------------------------------------------------------------------------

struct Curve {
  AsymmetricAlgorithm algorithm;
  std::string_view oid;
  std::size_t field_bytes;
  std::string_view order;  // FIPS 186-5, SP 800-186
};
constexpr std::array<Curve, 3> kCurves = {{
    {kEcdsaP256, kP256Oid, 32, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
    {kEcdsaP384, kP384Oid, 48,
     "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52"
     "9"
     "73"},
    {kEcdsaP521, kP521Oid, 66,
     "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148"
     "f709a5d03bb5c9b8899c47aebb6fb71e91386409"},
}};

// 04 || x || y of a fresh key.
Bytes FreshPoint(const Curve& curve) {
  const Bytes spki = AsymmetricKey::Generate(curve.algorithm).value().PublicKey().value();
  return {spki.end() - static_cast<std::ptrdiff_t>(1 + 2 * curve.field_bytes), spki.end()};
}

void ExpectPointRefused(const Curve& curve, const Bytes& point, std::string_view reason) {
  EXPECT_THAT(ImportPublicKeyDer(curve.algorithm, EcPublicKeyInfo(curve.oid, point)),
              HasError(ErrorCode::kInvalidArgument, Text(kPublic, reason)));
  Bytes scalar(curve.field_bytes);
  scalar.back() = 1;
  EXPECT_THAT(ImportPrivateKey(curve.algorithm, EcPrivateKeyInfo(curve.oid, scalar, point)),
              HasError(ErrorCode::kInvalidArgument, Text(kPrivate, reason)));
}

TEST(EcSoundness, C14_PointOffTheCurveIsRefused) {
  for (const Curve& curve : kCurves) {
    for (const std::size_t index : {std::size_t{1}, curve.field_bytes, 2 * curve.field_bytes}) {
      Bytes point = FreshPoint(curve);
      point[index] ^= 1U;
      ExpectPointRefused(curve, point, "EC point is not on the curve");
    }
    Bytes zero(1 + 2 * curve.field_bytes);
    zero[0] = 4;
    ExpectPointRefused(curve, zero, "EC point is not on the curve");
    Bytes beyond_the_field(1 + 2 * curve.field_bytes, 0xff);
    beyond_the_field[0] = 4;
    ExpectPointRefused(curve, beyond_the_field, "EC point is not on the curve");
  }
}

TEST(EcSoundness, C14_CompressedPointOffTheCurveIsRefused) {
  for (const Curve& curve : kCurves) {
    Bytes point = FreshPoint(curve);
    point.resize(1 + curve.field_bytes);
    point[0] = 2;
    int refused = 0;
    for (int change = 0; change < 64; ++change) {  // half of all x have no point
      point.back() = static_cast<std::uint8_t>(change);
      const auto key = ImportPublicKeyDer(curve.algorithm, EcPublicKeyInfo(curve.oid, point));
      if (!key.has_value()) {
        EXPECT_THAT(key, HasError(ErrorCode::kInvalidArgument,
                                  Text(kPublic, "EC point is not on the curve")));
        ++refused;
      }
    }
    EXPECT_GT(refused, 0);
    EXPECT_LT(refused, 64);
  }
}

TEST(EcSoundness, C14_PointAtInfinityIsRefused) {
  for (const Curve& curve : kCurves) {
    ExpectPointRefused(curve, {0}, "EC point is at infinity");
  }
}

TEST(EcSoundness, C14_PointOfAnotherFormOrLengthIsRefused) {
  for (const Curve& curve : kCurves) {
    const Bytes good = FreshPoint(curve);
    for (const std::uint8_t form : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{5},
                                    std::uint8_t{6}, std::uint8_t{7}, std::uint8_t{0xff}}) {
      Bytes point = good;
      point[0] = form;
      ExpectPointRefused(curve, point, "EC point has an unknown form");
    }
    ExpectPointRefused(curve, {}, "EC point has an unknown form");
    ExpectPointRefused(curve, {4}, "EC point has a wrong length");
    ExpectPointRefused(curve, Joined({good, {0}}), "EC point has a wrong length");
    ExpectPointRefused(curve, Bytes(good.begin(), good.end() - 1), "EC point has a wrong length");
  }
}

void ExpectScalarRefused(const Curve& curve, const Bytes& scalar, std::string_view reason) {
  EXPECT_THAT(ImportPrivateKey(curve.algorithm, EcPrivateKeyInfo(curve.oid, scalar)),
              HasError(ErrorCode::kInvalidArgument, Text(kPrivate, reason)));
}

TEST(EcSoundness, C14_ScalarOutOfRangeIsRefused) {
  for (const Curve& curve : kCurves) {
    const Number order = Number::OfBytes(FromHex(curve.order));
    ExpectScalarRefused(curve, Bytes(curve.field_bytes), "EC private scalar is zero");
    ExpectScalarRefused(curve, {}, "EC private scalar is zero");
    for (const Bytes& scalar : {order.ToBytes(), (order + kOne).ToBytes(),
                                Bytes(curve.field_bytes, 0xff), Bytes(200, 0xff)}) {
      ExpectScalarRefused(curve, scalar, "EC private scalar is not below the order of the curve");
    }
    for (const Bytes& scalar : {kOne.ToBytes(), (order - kOne).ToBytes()}) {
      EXPECT_THAT(ImportPrivateKey(curve.algorithm, EcPrivateKeyInfo(curve.oid, scalar)), IsOk());
    }
  }
}

TEST(EcSoundness, C14_PublicHalfOfAnotherKeyIsRefused) {
  for (const Curve& curve : kCurves) {
    Bytes scalar(curve.field_bytes);
    scalar.back() = 2;
    EXPECT_THAT(
        ImportPrivateKey(curve.algorithm, EcPrivateKeyInfo(curve.oid, scalar, FreshPoint(curve))),
        HasError(ErrorCode::kInvalidArgument,
                 Text(kPrivate, "EC public half does not match the private one")));
  }
}

// ---- Ed25519 ----------------------------------------------------------------------------------

void ExpectEd25519Refused(const Bytes& public_key, std::string_view reason) {
  EXPECT_THAT(ImportPublicKeyDer(kEd25519, Ed25519PublicKeyInfo(public_key)),
              HasError(ErrorCode::kInvalidArgument, Text(kPublic, reason)));
}

// The canonical encodings of the eight points of small order, with either sign.
TEST(Ed25519Soundness, C14_SmallOrderIsRefused) {
  for (const std::string_view hex :
       {"0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    Bytes point = FromHex(hex);
    ExpectEd25519Refused(point, "Ed25519 public key has a small order");
    point.back() |= 0x80U;
    ExpectEd25519Refused(point, "Ed25519 public key has a small order");
  }
}

TEST(Ed25519Soundness, C14_EncodingThatIsNotCanonicalIsRefused) {
  for (const std::string_view hex :
       {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}) {
    ExpectEd25519Refused(FromHex(hex), "Ed25519 public key is not canonical");
  }
}

// OpenSSL's own point decoding is the judge: it refuses to verify under a point that is none.
TEST(Ed25519Soundness, C14_PointOffTheCurveIsRefused) {
  int refused = 0;
  for (std::uint8_t y = 2; y < 66; ++y) {
    Bytes point(32);
    point[0] = y;
    const auto key = ImportPublicKeyDer(kEd25519, Ed25519PublicKeyInfo(point));
    if (!key.has_value()) {
      EXPECT_THAT(key, HasError(ErrorCode::kInvalidArgument,
                                Text(kPublic, "Ed25519 public key is not on the curve")));
      ++refused;
    }
  }
  EXPECT_GT(refused, 16);
  EXPECT_LT(refused, 48);
}

TEST(Ed25519Soundness, EveryHonestPublicKeyIsTaken) {
  for (int count = 0; count < 64; ++count) {
    const Bytes key = AsymmetricKey::Generate(kEd25519).value().Ed25519PublicKey().value();
    EXPECT_THAT(ImportPublicKeyDer(kEd25519, Ed25519PublicKeyInfo(key)), IsOk());
  }
}

TEST(Ed25519Soundness, C14_WrongLengthZeroSeedAndForeignPublicHalfAreRefused) {
  for (const std::size_t size : {0U, 31U, 33U, 64U}) {
    EXPECT_THAT(ImportPrivateKey(kEd25519, Ed25519PrivateKeyInfo(Bytes(size, 1))),
                HasError(ErrorCode::kInvalidArgument,
                         Text(kPrivate, "Ed25519 private key has a wrong length")));
    ExpectEd25519Refused(Bytes(size, 1), "Ed25519 public key has a wrong length");
  }
  EXPECT_THAT(
      ImportPrivateKey(kEd25519, Ed25519PrivateKeyInfo(Bytes(32))),
      HasError(ErrorCode::kInvalidArgument, Text(kPrivate, "Ed25519 private key is all zeros")));
  const Bytes foreign = AsymmetricKey::Generate(kEd25519).value().Ed25519PublicKey().value();
  const Bytes version2 =
      DerSequence({DerInteger({1}), DerSequence({DerIdentifier(kEd25519Oid)}),
                   DerOctets(DerOctets(Bytes(32, 1))), DerElement(0x81, Joined({{0}, foreign}))});
  EXPECT_THAT(ImportPrivateKey(kEd25519, version2),
              HasError(ErrorCode::kInvalidArgument,
                       Text(kPrivate, "Ed25519 public half does not match the private one")));
}

}  // namespace
}  // namespace kms
