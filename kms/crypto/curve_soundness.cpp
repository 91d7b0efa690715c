// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/curve_soundness.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "kms/crypto/big_number.h"

namespace kms::internal {

namespace {

struct GroupDeleter {
  void operator()(EC_GROUP* group) const { EC_GROUP_free(group); }
};
struct PointDeleter {
  void operator()(EC_POINT* point) const { EC_POINT_clear_free(point); }
};
using Group = std::unique_ptr<EC_GROUP, GroupDeleter>;
using Point = std::unique_ptr<EC_POINT, PointDeleter>;

int CurveNumber(AsymmetricAlgorithm curve) {
  switch (curve) {
    case AsymmetricAlgorithm::kEcdsaP256: return NID_X9_62_prime256v1;
    case AsymmetricAlgorithm::kEcdsaP384: return NID_secp384r1;
    case AsymmetricAlgorithm::kEcdsaP521: return NID_secp521r1;
    case AsymmetricAlgorithm::kEd25519:
    case AsymmetricAlgorithm::kRsa2048:
    case AsymmetricAlgorithm::kRsa3072:
    case AsymmetricAlgorithm::kRsa4096: break;
  }
  return NID_undef;
}

Error ArithmeticFailed() {
  ERR_clear_error();
  return Internal("arithmetic of a curve failed");
}

// SEC 1, 2.3.4. The curves have cofactor 1: a point on one that is not at infinity has the order n.
Result<Point> ReadPoint(const EC_GROUP* group, std::size_t field_bytes, ByteView encoded,
                        BN_CTX* context) {
  constexpr std::uint8_t kInfinity = 0x00, kEven = 0x02, kOdd = 0x03, kUncompressed = 0x04;
  if (encoded.size() == 1 && encoded[0] == kInfinity) {
    return InvalidArgument("EC point is at infinity");
  }
  const std::uint8_t form = encoded.empty() ? kInfinity : encoded[0];
  const bool is_compressed = form == kEven || form == kOdd;
  if (!is_compressed && form != kUncompressed) {
    return InvalidArgument("EC point has an unknown form");
  }
  if (encoded.size() != 1 + field_bytes * (is_compressed ? 1 : 2)) {
    return InvalidArgument("EC point has a wrong length");
  }
  Point point(EC_POINT_new(group));
  if (point == nullptr) {
    return ArithmeticFailed();
  }
  if (EC_POINT_oct2point(group, point.get(), encoded.data(), encoded.size(), context) != 1 ||
      EC_POINT_is_on_curve(group, point.get(), context) != 1) {
    ERR_clear_error();
    return InvalidArgument("EC point is not on the curve");
  }
  return point;
}

Result<BigNumber> ReadScalar(const EC_GROUP* group, ByteView encoded) {
  constexpr std::size_t kLongestScalarBytes = 66;
  ByteView digits = encoded;
  while (!digits.empty() && digits.front() == 0) {
    digits = digits.subspan(1);
  }
  if (digits.empty()) {
    return InvalidArgument("EC private scalar is zero");
  }
  if (digits.size() > kLongestScalarBytes) {
    return InvalidArgument("EC private scalar is not below the order of the curve");
  }
  BigNumber scalar = KMS_TRY(SecretBigNumber(digits));
  if (BN_cmp(scalar.get(), EC_GROUP_get0_order(group)) >= 0) {
    return InvalidArgument("EC private scalar is not below the order of the curve");
  }
  return scalar;
}

Result<Bytes> WritePoint(const EC_GROUP* group, std::size_t field_bytes, const EC_POINT* point,
                         BN_CTX* context) {
  Bytes encoded(1 + 2 * field_bytes);
  if (EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, encoded.data(),
                         encoded.size(), context) != encoded.size()) {
    return ArithmeticFailed();
  }
  return encoded;
}

Result<SoundEcKey> CheckEcPair(const EC_GROUP* group, std::size_t field_bytes,
                               ByteView encoded_scalar, const EC_POINT* claimed, BN_CTX* context) {
  const BigNumber scalar = KMS_TRY(ReadScalar(group, encoded_scalar));
  const Point point(EC_POINT_new(group));
  if (point == nullptr ||
      EC_POINT_mul(group, point.get(), scalar.get(), nullptr, nullptr, context) != 1) {
    return ArithmeticFailed();
  }
  if (claimed != nullptr && EC_POINT_cmp(group, point.get(), claimed, context) != 0) {
    return InvalidArgument("EC public half does not match the private one");
  }
  SoundEcKey key;
  key.point = KMS_TRY(WritePoint(group, field_bytes, point.get(), context));
  key.scalar = KMS_TRY(SecretBytes::OfSize(field_bytes));
  if (BN_bn2binpad(scalar.get(), key.scalar.MutableView().data(), static_cast<int>(field_bytes)) <
      0) {
    return ArithmeticFailed();
  }
  return key;
}

// ---- Ed25519 ----------------------------------------------------------------------------------

constexpr std::size_t kEd25519Bytes = 32;

// RFC 8032, 5.1: p = 2^255 - 19, d = -121665/121666.
constexpr std::string_view kPrime =
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed";
constexpr std::string_view kCurveD =
    "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";
// The y coordinates of the eight points whose order divides the cofactor: 0, 1, -1, and two of
// order 8. The sign of x makes no difference.
constexpr std::array<std::string_view, 5> kSmallOrderY = {
    "00", "01", "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
    "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
    "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"};

Result<BigNumber> FromHexDigits(std::string_view digits) {
  BIGNUM* number = nullptr;
  if (BN_hex2bn(&number, digits.data()) != static_cast<int>(digits.size())) {
    return ArithmeticFailed();
  }
  return BigNumber(number);
}

// Whether x^2 = (y^2 - 1) / (d y^2 + 1) has a solution: numerator times denominator is a square.
Result<bool> IsOnEdwardsCurve(const BIGNUM* y, const BIGNUM* prime, BN_CTX* context) {
  const BigNumber d = KMS_TRY(FromHexDigits(kCurveD));
  const BigNumber y_squared(BN_new());
  const BigNumber numerator(BN_new());
  const BigNumber denominator(BN_new());
  if (y_squared == nullptr || numerator == nullptr || denominator == nullptr ||
      BN_mod_sqr(y_squared.get(), y, prime, context) != 1 ||
      BN_mod_sub(numerator.get(), y_squared.get(), BN_value_one(), prime, context) != 1 ||
      BN_mod_mul(denominator.get(), d.get(), y_squared.get(), prime, context) != 1 ||
      BN_mod_add(denominator.get(), denominator.get(), BN_value_one(), prime, context) != 1 ||
      BN_mod_mul(numerator.get(), numerator.get(), denominator.get(), prime, context) != 1) {
    return ArithmeticFailed();
  }
  const int symbol = BN_kronecker(numerator.get(), prime, context);
  if (symbol < -1) {
    return ArithmeticFailed();
  }
  return symbol >= 0;
}

Status CheckEd25519Point(ByteView encoded) {
  if (encoded.size() != kEd25519Bytes) {
    return InvalidArgument("Ed25519 public key has a wrong length");
  }
  constexpr std::uint8_t kSignOfX = 0x80;
  Bytes big_endian(encoded.rbegin(), encoded.rend());
  big_endian.front() &= static_cast<std::uint8_t>(~kSignOfX);
  const BigNumber y = KMS_TRY(PublicBigNumber(big_endian));
  const BigNumber prime = KMS_TRY(FromHexDigits(kPrime));
  if (BN_cmp(y.get(), prime.get()) >= 0) {
    return InvalidArgument("Ed25519 public key is not canonical");
  }
  for (const std::string_view digits : kSmallOrderY) {
    const BigNumber small = KMS_TRY(FromHexDigits(digits));
    if (BN_cmp(y.get(), small.get()) == 0) {
      return InvalidArgument("Ed25519 public key has a small order");
    }
  }
  const BigNumberContext context(BN_CTX_new());
  if (context == nullptr) {
    return ArithmeticFailed();
  }
  const bool on_curve = KMS_TRY(IsOnEdwardsCurve(y.get(), prime.get(), context.get()));
  return on_curve ? Ok() : InvalidArgument("Ed25519 public key is not on the curve");
}

Result<Bytes> Ed25519PublicHalf(ByteView seed) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()),
      &EVP_PKEY_free);
  Bytes public_key(kEd25519Bytes);
  std::size_t size = public_key.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1) {
    return ArithmeticFailed();
  }
  return public_key;
}

}  // namespace

Result<SoundEcKey> CheckEcSoundness(AsymmetricAlgorithm curve, const EcNumbers& key) {
  const Group group(EC_GROUP_new_by_curve_name(CurveNumber(curve)));
  const BigNumberContext context(BN_CTX_secure_new());
  if (group == nullptr || context == nullptr) {
    return ArithmeticFailed();
  }
  const std::size_t field_bytes = EcdsaFieldBytes(curve);
  Point claimed;
  if (key.point.has_value()) {
    claimed = KMS_TRY(ReadPoint(group.get(), field_bytes, *key.point, context.get()));
  }
  if (key.scalar.has_value()) {
    return CheckEcPair(group.get(), field_bytes, *key.scalar, claimed.get(), context.get());
  }
  if (claimed == nullptr) {
    return InvalidArgument("EC key has neither half");
  }
  SoundEcKey sound;
  sound.point = KMS_TRY(WritePoint(group.get(), field_bytes, claimed.get(), context.get()));
  return sound;
}

Result<SoundEd25519Key> CheckEd25519Soundness(const Ed25519Numbers& key) {
  SoundEd25519Key sound;
  if (!key.seed.has_value()) {
    sound.public_key = CopyOf(key.public_key.value_or(ByteView{}));
    KMS_TRY(CheckEd25519Point(sound.public_key));
    return sound;
  }
  if (key.seed->size() != kEd25519Bytes) {
    return InvalidArgument("Ed25519 private key has a wrong length");
  }
  if (std::ranges::all_of(*key.seed, [](std::uint8_t byte) { return byte == 0; })) {
    return InvalidArgument("Ed25519 private key is all zeros");
  }
  sound.seed = KMS_TRY(SecretBytes::CopyOf(*key.seed));
  sound.public_key = KMS_TRY(Ed25519PublicHalf(sound.seed.View()));
  if (key.public_key.has_value() && !std::ranges::equal(*key.public_key, sound.public_key)) {
    return InvalidArgument("Ed25519 public half does not match the private one");
  }
  return sound;
}

}  // namespace kms::internal
