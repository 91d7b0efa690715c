// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/key_der.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "kms/crypto/der.h"

namespace kms::internal {

namespace {

using namespace std::string_view_literals;

static_assert(std::endian::native == std::endian::little, "OpenSSL takes numbers as the CPU does");

struct Traits {
  const char* type;
  const char* group;
  int curve;
  std::string_view identifier;  // the contents of its AlgorithmIdentifier
};

constexpr std::string_view kRsaIdentifier =
    "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"sv;

// In the order of the enumeration.
constexpr std::array<Traits, 7> kTraits = {{
    {"EC", "P-256", NID_X9_62_prime256v1,
     "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"sv},
    {"EC", "P-384", NID_secp384r1,
     "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"sv},
    {"EC", "P-521", NID_secp521r1,
     "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23"sv},
    {"ED25519", "", NID_undef, "\x06\x03\x2b\x65\x70"sv},
    {"RSA", "", NID_undef, kRsaIdentifier},
    {"RSA", "", NID_undef, kRsaIdentifier},
    {"RSA", "", NID_undef, kRsaIdentifier},
}};

constexpr std::size_t kEd25519Bytes = 32;
constexpr std::uint8_t kUncompressed = 0x04;  // SEC 1, 2.3.3

const Traits& TraitsOf(AsymmetricAlgorithm algorithm) {
  return kTraits[static_cast<std::size_t>(algorithm)];
}

ByteView AlgorithmIdentifier(AsymmetricAlgorithm algorithm) {
  return AsBytes(TraitsOf(algorithm).identifier);
}

// The curve's name without its head, as ECPrivateKey repeats it.
ByteView CurveIdentifier(AsymmetricAlgorithm algorithm) {
  constexpr std::size_t kKeyTypeBytes = 9;
  return AlgorithmIdentifier(algorithm).subspan(kKeyTypeBytes);
}

std::size_t PointBytes(AsymmetricAlgorithm algorithm) { return 1 + 2 * EcdsaFieldBytes(algorithm); }

Error NotOneKey() { return InvalidArgument("this is not one key of the expected type"); }

Error OpenSslFailed(const char* step) {
  ERR_clear_error();
  return Internal(std::string("key handling failed: ") + step);
}

// ---- OpenSSL's objects -------------------------------------------------------------------------

struct ContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

// The parts of a key as OpenSSL takes them. Numbers are copied into secret memory, octets are not
// copied and must outlive this.
class KeyParts {
 public:
  static Result<KeyParts> WithRoom(std::size_t number_bytes) {
    return KeyParts(KMS_TRY(SecretBytes::OfSize(number_bytes)));
  }

  void AddNumber(const char* name, ByteView big_endian) {
    const MutableByteView number =
        numbers_.MutableView().subspan(used_number_bytes_, big_endian.size());
    used_number_bytes_ += big_endian.size();
    std::ranges::reverse_copy(big_endian, number.begin());
    Add(OSSL_PARAM_construct_BN(name, number.data(), number.size()));
  }
  void AddOctets(const char* name, ByteView octets) {  // OpenSSL only reads them
    Add(OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(octets.data()),
                                          octets.size()));
  }
  void AddGroup(const char* group) {
    Add(OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(group), 0));
  }

  Result<EvpKey> Build(const char* type, int selection) {
    params_[used_params_] = OSSL_PARAM_construct_end();
    const std::unique_ptr<EVP_PKEY_CTX, ContextDeleter> context(
        EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, selection, params_.data()) != 1) {
      ERR_clear_error();
      return NotOneKey();
    }
    return EvpKey(key);
  }

 private:
  explicit KeyParts(SecretBytes numbers) : numbers_(std::move(numbers)) {}
  void Add(OSSL_PARAM param) { params_[used_params_++] = param; }

  SecretBytes numbers_;
  std::size_t used_number_bytes_ = 0;
  std::array<OSSL_PARAM, 9> params_{};
  std::size_t used_params_ = 0;
};

// Writes a number of the key to `out`, big-endian with leading zeros.
bool ReadNumber(EVP_PKEY* key, const char* name, MutableByteView out) {
  OSSL_PARAM params[] = {OSSL_PARAM_construct_BN(name, out.data(), out.size()),
                         OSSL_PARAM_construct_end()};
  if (EVP_PKEY_get_params(key, params) != 1 || params[0].return_size > out.size()) {
    return false;
  }
  std::ranges::reverse(out);
  return true;
}

bool ReadOctets(EVP_PKEY* key, const char* name, MutableByteView out) {
  std::size_t size = 0;
  return EVP_PKEY_get_octet_string_param(key, name, out.data(), out.size(), &size) == 1 &&
         size == out.size();
}

// ---- EC ----------------------------------------------------------------------------------------

struct BignumDeleter {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
struct GroupDeleter {
  void operator()(EC_GROUP* group) const { EC_GROUP_free(group); }
};
struct PointDeleter {
  void operator()(EC_POINT* point) const { EC_POINT_free(point); }
};

// For keys that come without their public half (RFC 5915 allows it).
Result<Bytes> ComputePoint(AsymmetricAlgorithm algorithm, ByteView scalar) {
  const std::unique_ptr<EC_GROUP, GroupDeleter> group(
      EC_GROUP_new_by_curve_name(TraitsOf(algorithm).curve));
  const std::unique_ptr<BIGNUM, BignumDeleter> number(BN_secure_new());
  const std::unique_ptr<EC_POINT, PointDeleter> point(EC_POINT_new(group.get()));
  Bytes octets(PointBytes(algorithm));
  if (group == nullptr || number == nullptr || point == nullptr ||
      BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), number.get()) == nullptr ||
      EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) != 1) {
    return OpenSslFailed("public point");
  }
  const std::size_t written =
      EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, octets.data(),
                         octets.size(), nullptr);
  return written == octets.size() ? Result<Bytes>(std::move(octets)) : NotOneKey();
}

// The contents of a BIT STRING that holds a point.
Result<ByteView> PointOf(AsymmetricAlgorithm algorithm, ByteView bits) {
  const bool good = bits.size() == 1 + PointBytes(algorithm) && bits[0] == 0 &&
                    bits[1] == kUncompressed;
  return good ? Result<ByteView>(bits.subspan(1)) : NotOneKey();
}

Result<EvpKey> BuildEcPublic(AsymmetricAlgorithm algorithm, ByteView point) {
  KeyParts parts = KMS_TRY(KeyParts::WithRoom(0));
  parts.AddGroup(TraitsOf(algorithm).group);
  parts.AddOctets(OSSL_PKEY_PARAM_PUB_KEY, point);
  return parts.Build(TraitsOf(algorithm).type, EVP_PKEY_PUBLIC_KEY);
}

Result<EvpKey> BuildEcPair(AsymmetricAlgorithm algorithm, ByteView scalar, ByteView point) {
  KeyParts parts = KMS_TRY(KeyParts::WithRoom(scalar.size()));
  parts.AddGroup(TraitsOf(algorithm).group);
  parts.AddOctets(OSSL_PKEY_PARAM_PUB_KEY, point);
  parts.AddNumber(OSSL_PKEY_PARAM_PRIV_KEY, scalar);
  return parts.Build(TraitsOf(algorithm).type, EVP_PKEY_KEYPAIR);
}

// SEQUENCE { INTEGER 1, OCTET STRING, [0] curve OPTIONAL, [1] BIT STRING OPTIONAL } (RFC 5915)
Result<EvpKey> DecodeEcPrivate(AsymmetricAlgorithm algorithm, ByteView der) {
  DerReader outer(der);
  DerReader fields(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView version = KMS_TRY(fields.TakeUnsigned());
  const ByteView scalar = KMS_TRY(fields.Take(DerTag::kOctetString));
  if (version.size() != 1 || version[0] != 1 || scalar.size() != EcdsaFieldBytes(algorithm)) {
    return NotOneKey();
  }
  if (fields.NextIs(DerTag::kContext0)) {
    const ByteView curve = KMS_TRY(fields.Take(DerTag::kContext0));
    if (!std::ranges::equal(curve, CurveIdentifier(algorithm))) {
      return NotOneKey();
    }
  }
  if (fields.AtEnd()) {
    return BuildEcPair(algorithm, scalar, KMS_TRY(ComputePoint(algorithm, scalar)));
  }
  DerReader last(KMS_TRY(fields.TakeLast(DerTag::kContext1)));
  const ByteView bits = KMS_TRY(last.TakeLast(DerTag::kBitString));
  return BuildEcPair(algorithm, scalar, KMS_TRY(PointOf(algorithm, bits)));
}

Result<Bytes> PublicPoint(AsymmetricAlgorithm algorithm, EVP_PKEY* key) {
  Bytes point(PointBytes(algorithm));
  return ReadOctets(key, OSSL_PKEY_PARAM_PUB_KEY, point) && point[0] == kUncompressed
             ? Result<Bytes>(std::move(point))
             : OpenSslFailed("public point");
}

// ---- Ed25519 -----------------------------------------------------------------------------------

Result<EvpKey> DecodeEdPrivate(ByteView der) {
  DerReader reader(der);
  return DecodeEd25519Seed(KMS_TRY(reader.TakeLast(DerTag::kOctetString)));
}

Result<EvpKey> DecodeEdPublic(ByteView bits) {
  if (bits.size() != 1 + kEd25519Bytes || bits[0] != 0) {
    return NotOneKey();
  }
  KeyParts parts = KMS_TRY(KeyParts::WithRoom(0));
  parts.AddOctets(OSSL_PKEY_PARAM_PUB_KEY, bits.subspan(1));
  return parts.Build("ED25519", EVP_PKEY_PUBLIC_KEY);
}

// ---- RSA ---------------------------------------------------------------------------------------

// In the order of RSAPrivateKey; RSAPublicKey has the first two.
constexpr std::array<const char*, 8> kRsaNumbers = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,         OSSL_PKEY_PARAM_RSA_D,
    OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};
constexpr std::size_t kRsaPublicNumbers = 2;

// Takes all of `fields` as the first `count` numbers.
Result<EvpKey> DecodeRsaNumbers(AsymmetricAlgorithm algorithm, DerReader fields, std::size_t count,
                                int selection) {
  const std::size_t modulus_bytes = RsaBits(algorithm) / 8;
  KeyParts parts = KMS_TRY(KeyParts::WithRoom(fields.rest().size()));
  for (std::size_t index = 0; index < count; ++index) {
    const ByteView number = KMS_TRY(fields.TakeUnsigned());
    const bool is_modulus = index == 0;
    if (number.empty() || number.size() > modulus_bytes ||
        (is_modulus && (number.size() < modulus_bytes || number[0] < 0x80))) {
      return NotOneKey();
    }
    parts.AddNumber(kRsaNumbers[index], number);
  }
  KMS_TRY(fields.Finish());
  return parts.Build("RSA", selection);
}

Result<EvpKey> DecodeRsaPrivate(AsymmetricAlgorithm algorithm, ByteView der) {
  DerReader outer(der);
  DerReader fields(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView version = KMS_TRY(fields.TakeUnsigned());
  if (!version.empty()) {  // 1: more than two primes
    return NotOneKey();
  }
  return DecodeRsaNumbers(algorithm, fields, kRsaNumbers.size(), EVP_PKEY_KEYPAIR);
}

Result<EvpKey> DecodeRsaPublic(AsymmetricAlgorithm algorithm, ByteView bits) {
  if (bits.empty() || bits[0] != 0) {
    return NotOneKey();
  }
  DerReader outer(bits.subspan(1));
  const DerReader fields(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  return DecodeRsaNumbers(algorithm, fields, kRsaPublicNumbers, EVP_PKEY_PUBLIC_KEY);
}

// Fills `numbers` with the first ones of the key, each as long as the modulus.
bool ReadRsaNumbers(EVP_PKEY* key, std::size_t modulus_bytes, MutableByteView numbers) {
  for (std::size_t index = 0; !numbers.empty(); ++index) {
    if (!ReadNumber(key, kRsaNumbers[index], numbers.first(modulus_bytes))) {
      return false;
    }
    numbers = numbers.subspan(modulus_bytes);
  }
  return true;
}

std::size_t RsaSequenceBytes(ByteView numbers, std::size_t modulus_bytes) {
  std::size_t total = 0;
  for (; !numbers.empty(); numbers = numbers.subspan(modulus_bytes)) {
    total += DerElementBytes(DerUnsignedBytes(numbers.first(modulus_bytes)));
  }
  return total;
}

void WriteRsaNumbers(DerWriter& writer, ByteView numbers, std::size_t modulus_bytes) {
  for (; !numbers.empty(); numbers = numbers.subspan(modulus_bytes)) {
    writer.Unsigned(numbers.first(modulus_bytes));
  }
}

// ---- the outer structures ----------------------------------------------------------------------

constexpr std::size_t kVersionBytes = 3;
constexpr std::uint8_t kVersion0 = 0;
constexpr std::uint8_t kVersion1 = 1;

// A PrivateKeyInfo whose private half, `inner_bytes` long, the caller writes next.
Result<SecretBytes> RoomForPkcs8(AsymmetricAlgorithm algorithm, std::size_t inner_bytes,
                                 MutableByteView& inner) {
  const ByteView identifier = AlgorithmIdentifier(algorithm);
  const std::size_t content =
      kVersionBytes + DerElementBytes(identifier.size()) + DerElementBytes(inner_bytes);
  SecretBytes out = KMS_TRY(SecretBytes::OfSize(DerElementBytes(content)));
  DerWriter writer(out.MutableView());
  writer.Head(DerTag::kSequence, content);
  writer.Unsigned({&kVersion0, 1});
  writer.Head(DerTag::kSequence, identifier.size());
  writer.Raw(identifier);
  writer.Head(DerTag::kOctetString, inner_bytes);
  inner = out.MutableView().last(inner_bytes);
  return out;
}

Result<SecretBytes> EncodeEcPkcs8(AsymmetricAlgorithm algorithm, EVP_PKEY* key) {
  const Bytes point = KMS_TRY(PublicPoint(algorithm, key));
  SecretBytes scalar = KMS_TRY(SecretBytes::OfSize(EcdsaFieldBytes(algorithm)));
  if (!ReadNumber(key, OSSL_PKEY_PARAM_PRIV_KEY, scalar.MutableView())) {
    return OpenSslFailed("private scalar");
  }
  const std::size_t bits = DerElementBytes(1 + point.size());
  const std::size_t content =
      kVersionBytes + DerElementBytes(scalar.size()) + DerElementBytes(bits);
  MutableByteView inner;
  SecretBytes out = KMS_TRY(RoomForPkcs8(algorithm, DerElementBytes(content), inner));
  DerWriter writer(inner);
  writer.Head(DerTag::kSequence, content);
  writer.Unsigned({&kVersion1, 1});
  writer.Head(DerTag::kOctetString, scalar.size());
  writer.Raw(scalar.View());
  writer.Head(DerTag::kContext1, bits);
  writer.Head(DerTag::kBitString, 1 + point.size());
  writer.Raw(AsBytes("\0"sv));
  writer.Raw(point);
  return out;
}

Result<SecretBytes> EncodeEdPkcs8(EVP_PKEY* key) {
  MutableByteView inner;
  SecretBytes out = KMS_TRY(
      RoomForPkcs8(AsymmetricAlgorithm::kEd25519, DerElementBytes(kEd25519Bytes), inner));
  DerWriter writer(inner);
  writer.Head(DerTag::kOctetString, kEd25519Bytes);
  return ReadOctets(key, OSSL_PKEY_PARAM_PRIV_KEY, inner.last(kEd25519Bytes))
             ? Result<SecretBytes>(std::move(out))
             : OpenSslFailed("seed");
}

Result<SecretBytes> EncodeRsaPkcs8(AsymmetricAlgorithm algorithm, EVP_PKEY* key) {
  const std::size_t modulus_bytes = RsaBits(algorithm) / 8;
  SecretBytes numbers = KMS_TRY(SecretBytes::OfSize(kRsaNumbers.size() * modulus_bytes));
  if (!ReadRsaNumbers(key, modulus_bytes, numbers.MutableView())) {
    return OpenSslFailed("RSA numbers");
  }
  const std::size_t content = kVersionBytes + RsaSequenceBytes(numbers.View(), modulus_bytes);
  MutableByteView inner;
  SecretBytes out = KMS_TRY(RoomForPkcs8(algorithm, DerElementBytes(content), inner));
  DerWriter writer(inner);
  writer.Head(DerTag::kSequence, content);
  writer.Unsigned({&kVersion0, 1});
  WriteRsaNumbers(writer, numbers.View(), modulus_bytes);
  return out;
}

// The contents of the BIT STRING, without its first byte.
Result<Bytes> PublicHalf(AsymmetricAlgorithm algorithm, EVP_PKEY* key) {
  if (IsEcdsa(algorithm)) {
    return PublicPoint(algorithm, key);
  }
  if (!IsRsa(algorithm)) {
    Bytes octets(kEd25519Bytes);
    return ReadOctets(key, OSSL_PKEY_PARAM_PUB_KEY, octets) ? Result<Bytes>(std::move(octets))
                                                            : OpenSslFailed("public half");
  }
  const std::size_t modulus_bytes = RsaBits(algorithm) / 8;
  Bytes numbers(kRsaPublicNumbers * modulus_bytes);
  if (!ReadRsaNumbers(key, modulus_bytes, numbers)) {
    return OpenSslFailed("RSA numbers");
  }
  const std::size_t content = RsaSequenceBytes(numbers, modulus_bytes);
  Bytes sequence(DerElementBytes(content));
  DerWriter writer(sequence);
  writer.Head(DerTag::kSequence, content);
  WriteRsaNumbers(writer, numbers, modulus_bytes);
  return sequence;
}

// Errors unless an AlgorithmIdentifier of this algorithm comes next.
Status TakeAlgorithm(AsymmetricAlgorithm algorithm, DerReader& fields) {
  const ByteView identifier = KMS_TRY(fields.Take(DerTag::kSequence));
  return std::ranges::equal(identifier, AlgorithmIdentifier(algorithm)) ? Ok()
                                                                        : Status(NotOneKey());
}

}  // namespace

void EvpKeyDeleter::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

const char* EvpTypeName(AsymmetricAlgorithm algorithm) { return TraitsOf(algorithm).type; }
const char* EvpGroupName(AsymmetricAlgorithm algorithm) { return TraitsOf(algorithm).group; }

Result<EvpKey> DecodePkcs8(AsymmetricAlgorithm algorithm, ByteView pkcs8) {
  DerReader outer(pkcs8);
  DerReader fields(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView version = KMS_TRY(fields.TakeUnsigned());
  if (!version.empty()) {
    return NotOneKey();
  }
  KMS_TRY(TakeAlgorithm(algorithm, fields));
  const ByteView inner = KMS_TRY(fields.TakeLast(DerTag::kOctetString));
  if (IsRsa(algorithm)) {
    return DecodeRsaPrivate(algorithm, inner);
  }
  return IsEcdsa(algorithm) ? DecodeEcPrivate(algorithm, inner) : DecodeEdPrivate(inner);
}

Result<EvpKey> DecodeSpki(AsymmetricAlgorithm algorithm, ByteView spki) {
  DerReader outer(spki);
  DerReader fields(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  KMS_TRY(TakeAlgorithm(algorithm, fields));
  const ByteView bits = KMS_TRY(fields.TakeLast(DerTag::kBitString));
  if (IsRsa(algorithm)) {
    return DecodeRsaPublic(algorithm, bits);
  }
  return IsEcdsa(algorithm) ? BuildEcPublic(algorithm, KMS_TRY(PointOf(algorithm, bits)))
                            : DecodeEdPublic(bits);
}

Result<EvpKey> DecodeEd25519Seed(ByteView seed) {
  if (seed.size() != kEd25519Bytes) {
    return NotOneKey();
  }
  KeyParts parts = KMS_TRY(KeyParts::WithRoom(0));
  parts.AddOctets(OSSL_PKEY_PARAM_PRIV_KEY, seed);
  return parts.Build("ED25519", EVP_PKEY_KEYPAIR);
}

Result<SecretBytes> EncodePkcs8(AsymmetricAlgorithm algorithm, evp_pkey_st* key) {
  if (IsRsa(algorithm)) {
    return EncodeRsaPkcs8(algorithm, key);
  }
  return IsEcdsa(algorithm) ? EncodeEcPkcs8(algorithm, key) : EncodeEdPkcs8(key);
}

Result<Bytes> EncodeSpki(AsymmetricAlgorithm algorithm, evp_pkey_st* key) {
  const Bytes half = KMS_TRY(PublicHalf(algorithm, key));
  const ByteView identifier = AlgorithmIdentifier(algorithm);
  const std::size_t content =
      DerElementBytes(identifier.size()) + DerElementBytes(1 + half.size());
  Bytes out(DerElementBytes(content));
  DerWriter writer(out);
  writer.Head(DerTag::kSequence, content);
  writer.Head(DerTag::kSequence, identifier.size());
  writer.Raw(identifier);
  writer.Head(DerTag::kBitString, 1 + half.size());
  writer.Raw(AsBytes("\0"sv));
  writer.Raw(half);
  return out;
}

}  // namespace kms::internal
