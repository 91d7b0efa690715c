// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/encoded_key.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "kms/crypto/der.h"

namespace kms::internal {

namespace {

using namespace std::string_view_literals;

// Contents of OBJECT IDENTIFIERs.
constexpr std::string_view kRsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"sv;
constexpr std::string_view kRsassaPss = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv;
constexpr std::string_view kEcPublicKey = "\x2a\x86\x48\xce\x3d\x02\x01"sv;
constexpr std::string_view kEd25519 = "\x2b\x65\x70"sv;

struct CurveRow {
  std::string_view identifier;
  AsymmetricAlgorithm algorithm;
  std::string_view name;
};
constexpr std::array<CurveRow, 3> kCurves = {{
    {"\x2a\x86\x48\xce\x3d\x03\x01\x07"sv, AsymmetricAlgorithm::kEcdsaP256, "P-256"},
    {"\x2b\x81\x04\x00\x22"sv, AsymmetricAlgorithm::kEcdsaP384, "P-384"},
    {"\x2b\x81\x04\x00\x23"sv, AsymmetricAlgorithm::kEcdsaP521, "P-521"},
}};
// Some programs write Ed25519 keys as EC keys: 1.3.6.1.4.1.11591.15.1 and 1.3.101.110.
constexpr std::array<std::string_view, 2> kEd25519Curves = {
    "\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"sv, "\x2b\x65\x6e"sv};

constexpr std::uint8_t kGnuPointPrefix = 0x40;  // before an Ed25519 point in such an EC key
constexpr std::size_t kEd25519Bytes = 32;

Error Malformed(std::string_view what) {
  return InvalidArgument("asn1: structure error: malformed " + std::string(what));
}

// "1.2.840.…", or the name that OpenSSL knows.
std::string IdentifierText(ByteView identifier, bool always_number) {
  Bytes element = {static_cast<std::uint8_t>(DerTag::kObjectIdentifier),
                   static_cast<std::uint8_t>(identifier.size())};
  element.insert(element.end(), identifier.begin(), identifier.end());
  const std::uint8_t* at = element.data();
  const std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> object(
      identifier.size() < 0x80 ? d2i_ASN1_OBJECT(nullptr, &at, static_cast<long>(element.size()))
                               : nullptr,
      &ASN1_OBJECT_free);
  std::array<char, 128> text{};
  if (object == nullptr ||
      OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object.get(), always_number) <= 0) {
    ERR_clear_error();
    return "an unreadable identifier";
  }
  return text.data();
}

// The bytes of a BIT STRING that has a multiple of eight bits.
Result<ByteView> TakeBits(DerReader& reader, DerTag tag = DerTag::kBitString) {
  const ByteView content = KMS_TRY(reader.Take(tag));
  if (content.empty() || content.front() != 0) {
    return Malformed("BIT STRING");
  }
  return content.subspan(1);
}

Status TakeVersion(DerReader& reader, std::uint8_t expected) {
  const ByteView version = KMS_TRY(reader.TakeInteger());
  return version.size() == 1 && version.front() == expected ? Ok() : Malformed("version");
}

struct AlgorithmIdentifier {  // RFC 5280, 4.1.1.2
  std::string_view identifier;
  std::optional<ByteView> curve;  // a parameter that is an OBJECT IDENTIFIER
  bool has_other_parameters = false;
};

Result<AlgorithmIdentifier> TakeAlgorithm(DerReader& outer) {
  DerReader reader(KMS_TRY(outer.Take(DerTag::kSequence)));
  const ByteView identifier = KMS_TRY(reader.Take(DerTag::kObjectIdentifier));
  AlgorithmIdentifier algorithm{.identifier = AsText(identifier), .curve = {}};
  if (reader.NextIs(DerTag::kObjectIdentifier)) {
    algorithm.curve = KMS_TRY(reader.TakeLast(DerTag::kObjectIdentifier));
    return algorithm;
  }
  if (reader.NextIs(DerTag::kNull)) {
    const ByteView null = KMS_TRY(reader.TakeLast(DerTag::kNull));
    if (!null.empty()) {
      return Malformed("NULL");
    }
    return algorithm;
  }
  algorithm.has_other_parameters = !reader.AtEnd();
  return algorithm;
}

Error UnknownAlgorithm(const AlgorithmIdentifier& algorithm) {
  return InvalidArgument("unknown algorithm: " +
                         IdentifierText(AsBytes(algorithm.identifier), /*always_number=*/true));
}

// ---- RSA --------------------------------------------------------------------------------------

Result<EncodedKey> ReadRsaPrivateKey(ByteView der) {
  DerReader outer(der);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView version = KMS_TRY(reader.TakeUnsigned());
  if (!version.empty()) {
    return InvalidArgument("RSA keys with more than two factors are not supported");
  }
  RsaNumbers key{.has_private = true};
  for (ByteView* number :
       {&key.n, &key.e, &key.d, &key.p, &key.q, &key.d_mod_p, &key.d_mod_q, &key.q_inverse}) {
    *number = KMS_TRY(reader.TakeUnsigned());
  }
  KMS_TRY(reader.Finish());
  return key;
}

Result<EncodedKey> ReadRsaPublicKey(ByteView der) {
  DerReader outer(der);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  RsaNumbers key;
  key.n = KMS_TRY(reader.TakeUnsigned());
  key.e = KMS_TRY(reader.TakeUnsigned());
  KMS_TRY(reader.Finish());
  return key;
}

// ---- EC ---------------------------------------------------------------------------------------

struct EcPrivateKey {  // RFC 5915
  ByteView private_key;
  std::optional<ByteView> curve;
  std::optional<ByteView> public_key;
};

Result<EcPrivateKey> ReadEcPrivateKey(ByteView der) {
  DerReader outer(der);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  KMS_TRY(TakeVersion(reader, 1));
  EcPrivateKey key;
  key.private_key = KMS_TRY(reader.Take(DerTag::kOctetString));
  if (reader.NextIs(DerTag::kContext0)) {
    DerReader parameters(KMS_TRY(reader.Take(DerTag::kContext0)));
    key.curve = KMS_TRY(parameters.TakeLast(DerTag::kObjectIdentifier));
  }
  if (reader.NextIs(DerTag::kContext1)) {
    DerReader bits(KMS_TRY(reader.Take(DerTag::kContext1)));
    key.public_key = KMS_TRY(TakeBits(bits));
    KMS_TRY(bits.Finish());
  }
  KMS_TRY(reader.Finish());
  return key;
}

Result<EcNumbers> ReadCurve(const AlgorithmIdentifier& algorithm) {
  if (!algorithm.curve.has_value()) {
    return InvalidArgument("an EC key without a named curve is not supported");
  }
  const auto* row = std::ranges::find(kCurves, AsText(*algorithm.curve), &CurveRow::identifier);
  if (row == kCurves.end()) {
    return EcNumbers{.curve = {},
                     .curve_name = IdentifierText(*algorithm.curve, /*always_number=*/false),
                     .scalar = {},
                     .point = {}};
  }
  return EcNumbers{
      .curve = row->algorithm, .curve_name = std::string(row->name), .scalar = {}, .point = {}};
}

bool IsEd25519Curve(ByteView identifier) {
  return std::ranges::find(kEd25519Curves, AsText(identifier)) != kEd25519Curves.end();
}

Result<EncodedKey> ReadEd25519AsEc(const EcPrivateKey& inner) {
  Ed25519Numbers key{.seed = inner.private_key, .public_key = inner.public_key};
  if (key.public_key.has_value() && key.public_key->size() == 1 + kEd25519Bytes &&
      key.public_key->front() == kGnuPointPrefix) {
    key.public_key = key.public_key->subspan(1);
  }
  return key;
}

Result<EncodedKey> ReadEc(const AlgorithmIdentifier& algorithm, ByteView der,
                          std::optional<ByteView> outer_public_key) {
  const EcPrivateKey inner = KMS_TRY(ReadEcPrivateKey(der));
  if (algorithm.curve.has_value() && IsEd25519Curve(*algorithm.curve)) {
    return ReadEd25519AsEc(inner);
  }
  EcNumbers key = KMS_TRY(ReadCurve(algorithm));
  if (inner.curve.has_value() && !std::ranges::equal(*inner.curve, *algorithm.curve)) {
    return InvalidArgument("the EC key names two different curves");
  }
  if (inner.public_key.has_value() && outer_public_key.has_value() &&
      !std::ranges::equal(*inner.public_key, *outer_public_key)) {
    return InvalidArgument("the EC key has two different public halves");
  }
  key.scalar = inner.private_key;
  key.point = inner.public_key.has_value() ? inner.public_key : outer_public_key;
  return key;
}

Result<EncodedKey> ReadEd25519(const AlgorithmIdentifier& algorithm, ByteView der,
                               std::optional<ByteView> public_key) {
  if (algorithm.has_other_parameters || algorithm.curve.has_value()) {
    return Malformed("Ed25519 AlgorithmIdentifier");
  }
  DerReader reader(der);
  const ByteView seed = KMS_TRY(reader.TakeLast(DerTag::kOctetString));
  return Ed25519Numbers{.seed = seed, .public_key = public_key};
}

struct PrivateKeyInfo {  // RFC 5958
  AlgorithmIdentifier algorithm;
  ByteView key;
  std::optional<ByteView> public_key;  // in version 2
};

Result<PrivateKeyInfo> ReadPrivateKeyInfoFrame(ByteView der) {
  constexpr auto kImplicitBits1 = static_cast<DerTag>(0x81);  // [1] IMPLICIT BIT STRING
  DerReader outer(der);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView version = KMS_TRY(reader.TakeUnsigned());
  if (version.size() > 1 || (version.size() == 1 && version.front() != 1)) {
    return Malformed("version");
  }
  PrivateKeyInfo info;
  info.algorithm = KMS_TRY(TakeAlgorithm(reader));
  info.key = KMS_TRY(reader.Take(DerTag::kOctetString));
  if (reader.NextIs(DerTag::kContext0)) {
    KMS_TRY(reader.Take(DerTag::kContext0));  // attributes, which say nothing of the key
  }
  if (reader.NextIs(kImplicitBits1)) {
    info.public_key = KMS_TRY(TakeBits(reader, kImplicitBits1));
  }
  KMS_TRY(reader.Finish());
  return info;
}

Result<EncodedKey> ReadPrivateHalf(const PrivateKeyInfo& info) {
  if (info.algorithm.identifier == kRsaEncryption || info.algorithm.identifier == kRsassaPss) {
    return ReadRsaPrivateKey(info.key);
  }
  if (info.algorithm.identifier == kEcPublicKey) {
    return ReadEc(info.algorithm, info.key, info.public_key);
  }
  if (info.algorithm.identifier == kEd25519) {
    return ReadEd25519(info.algorithm, info.key, info.public_key);
  }
  return UnknownAlgorithm(info.algorithm);
}

}  // namespace

Result<EncodedKey> ReadPrivateKeyInfo(ByteView der) {
  const Result<PrivateKeyInfo> info = ReadPrivateKeyInfoFrame(der);
  if (!info.has_value()) {
    return Malformed("PrivateKeyInfo; the key must be PKCS #8 in DER, not encrypted");
  }
  return ReadPrivateHalf(*info);
}

// RFC 5280, 4.1.2.7.
Result<EncodedKey> ReadPublicKeyInfo(ByteView der) {
  DerReader outer(der);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const AlgorithmIdentifier algorithm = KMS_TRY(TakeAlgorithm(reader));
  const ByteView key = KMS_TRY(TakeBits(reader));
  KMS_TRY(reader.Finish());
  if (algorithm.identifier == kRsaEncryption) {
    return ReadRsaPublicKey(key);
  }
  if (algorithm.identifier == kEcPublicKey) {
    EcNumbers numbers = KMS_TRY(ReadCurve(algorithm));
    numbers.point = key;
    return numbers;
  }
  if (algorithm.identifier == kEd25519) {
    return Ed25519Numbers{.seed = {}, .public_key = key};
  }
  return UnknownAlgorithm(algorithm);
}

}  // namespace kms::internal
