// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/key_export.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kms/base/base64.h"
#include "kms/crypto/der.h"
#include "kms/crypto/pem_text.h"

namespace kms {

namespace {

using internal::EncodePem;
using internal::EncodeSecretPem;
using internal::PemEnding;

constexpr std::array<std::pair<std::string_view, KeyFormat>, 4> kFormats = {{
    {"", KeyFormat::kDefault},
    {"raw", KeyFormat::kRaw},
    {"der", KeyFormat::kDer},
    {"pem", KeyFormat::kPem},
}};

// The reference trims the PEM text of all but RSA keys.
PemEnding EndingFor(AsymmetricAlgorithm algorithm) {
  return IsRsa(algorithm) ? PemEnding::kNewline : PemEnding::kNone;
}

Error NoRawFormat(AsymmetricAlgorithm algorithm) {
  return InvalidArgument("unknown key format for " + std::string(IsRsa(algorithm) ? "rsa" : "ec") +
                         " key; supported values are ``, `der`, or `pem`");
}

Status CheckFormat(AsymmetricAlgorithm algorithm, KeyFormat format) {
  const bool has_raw = algorithm == AsymmetricAlgorithm::kEd25519;
  return format == KeyFormat::kRaw && !has_raw ? NoRawFormat(algorithm) : Ok();
}

// A PrivateKeyInfo (RFC 5958) taken apart.
struct PrivateKeyInfo {
  ByteView curve;  // the named curve of an EC key as an element; empty for others
  ByteView key;
};

Result<PrivateKeyInfo> TakeApart(ByteView pkcs8) {
  DerReader outer(pkcs8);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  KMS_TRY(reader.TakeInteger());
  DerReader algorithm(KMS_TRY(reader.Take(DerTag::kSequence)));
  KMS_TRY(algorithm.Take(DerTag::kObjectIdentifier));
  PrivateKeyInfo info{.curve = algorithm.rest(), .key = {}};
  info.key = KMS_TRY(reader.Take(DerTag::kOctetString));
  return info;
}

// ECPrivateKey (RFC 5915) stands in a PrivateKeyInfo without its curve; alone it has one:
//   SEQUENCE { INTEGER 1, OCTET STRING scalar, [0] { curve }, [1] { BIT STRING point } }
Result<SecretBytes> WithCurve(const PrivateKeyInfo& info) {
  DerReader outer(info.key);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView version = KMS_TRY(reader.TakeInteger());
  const ByteView scalar = KMS_TRY(reader.Take(DerTag::kOctetString));
  if (reader.NextIs(DerTag::kContext0)) {
    KMS_TRY(reader.Take(DerTag::kContext0));
  }
  const ByteView point = KMS_TRY(reader.TakeLast(DerTag::kContext1));
  const std::size_t content = DerElementBytes(version.size()) + DerElementBytes(scalar.size()) +
                              DerElementBytes(info.curve.size()) + DerElementBytes(point.size());
  SecretBytes der = KMS_TRY(SecretBytes::OfSize(DerElementBytes(content)));
  DerWriter writer(der.MutableView());
  writer.Head(DerTag::kSequence, content);
  for (const auto& [tag, bytes] : {std::pair{DerTag::kInteger, version},
                                   {DerTag::kOctetString, scalar},
                                   {DerTag::kContext0, info.curve},
                                   {DerTag::kContext1, point}}) {
    writer.Head(tag, bytes.size());
    writer.Raw(bytes);
  }
  return der;
}

// What the default format of RSA and EC keys is: the forms that are older than PKCS #8.
Result<SecretBytes> TraditionalPem(AsymmetricAlgorithm algorithm, const SecretBytes& pkcs8) {
  const PrivateKeyInfo info = KMS_TRY(TakeApart(pkcs8.View()));
  if (IsRsa(algorithm)) {
    return EncodeSecretPem("RSA PRIVATE KEY", info.key, EndingFor(algorithm));
  }
  const SecretBytes sec1 = KMS_TRY(WithCurve(info));
  return EncodeSecretPem("EC PRIVATE KEY", sec1.View(), EndingFor(algorithm));
}

Result<SecretBytes> Ed25519Raw(const AsymmetricKey& key) {
  const SecretBytes seed = KMS_TRY(key.Ed25519Seed());
  const Bytes public_key = KMS_TRY(key.Ed25519PublicKey());
  SecretBytes both = KMS_TRY(SecretBytes::OfSize(seed.size() + public_key.size()));
  std::ranges::copy(seed.View(), both.MutableView().begin());
  std::ranges::copy(public_key, both.MutableView().subspan(seed.size()).begin());
  return Base64OfSecret(both.View());
}

Result<std::string> PublicPem(const AsymmetricKey& key, PemEnding ending) {
  const Bytes spki = KMS_TRY(key.PublicKey());
  return EncodePem("PUBLIC KEY", spki, ending);
}

}  // namespace

std::optional<KeyFormat> FindKeyFormat(std::string_view name) {
  const auto* found =
      std::ranges::find_if(kFormats, [name](const auto& row) { return row.first == name; });
  return found == kFormats.end() ? std::nullopt : std::optional(found->second);
}

Result<SecretBytes> ExportPrivateKey(const AsymmetricKey& key, KeyFormat format) {
  KMS_TRY(CheckFormat(key.algorithm(), format));
  if (!key.has_private()) {
    return SecretBytes();
  }
  const bool is_ed25519 = key.algorithm() == AsymmetricAlgorithm::kEd25519;
  if (is_ed25519 && (format == KeyFormat::kDefault || format == KeyFormat::kRaw)) {
    return Ed25519Raw(key);
  }
  const SecretBytes pkcs8 = KMS_TRY(key.ToPkcs8());
  if (format == KeyFormat::kDer) {
    return Base64OfSecret(pkcs8.View());
  }
  if (format == KeyFormat::kPem) {
    return EncodeSecretPem("PRIVATE KEY", pkcs8.View(), EndingFor(key.algorithm()));
  }
  return TraditionalPem(key.algorithm(), pkcs8);
}

Result<std::string> ExportPublicKey(const AsymmetricKey& key, KeyFormat format) {
  KMS_TRY(CheckFormat(key.algorithm(), format));
  const bool is_ed25519 = key.algorithm() == AsymmetricAlgorithm::kEd25519;
  if (is_ed25519 && (format == KeyFormat::kDefault || format == KeyFormat::kRaw)) {
    const Bytes public_key = KMS_TRY(key.Ed25519PublicKey());
    return Base64Encode(public_key);
  }
  if (format == KeyFormat::kDer) {
    const Bytes spki = KMS_TRY(key.PublicKey());
    return Base64Encode(spki);
  }
  return PublicPem(key, EndingFor(key.algorithm()));
}

Result<std::string> PublicKeyText(const AsymmetricKey& key) {
  if (key.algorithm() == AsymmetricAlgorithm::kEd25519) {
    return ExportPublicKey(key, KeyFormat::kDefault);
  }
  return PublicPem(key, PemEnding::kNewline);
}

Result<SecretBytes> ExportSymmetricKey(ByteView material, KeyFormat format) {
  if (format == KeyFormat::kDer || format == KeyFormat::kPem) {
    return InvalidArgument("unknown format for HMAC key; supported values are `` or `raw`");
  }
  return Base64OfSecret(material);
}

Result<SecretBytes> Base64OfSecret(ByteView secret) {
  constexpr std::size_t kChunkBytes = 48;
  SecretBytes text = KMS_TRY(SecretBytes::OfSize(Base64EncodedSize(secret.size())));
  std::array<unsigned char, Base64EncodedSize(kChunkBytes) + 1> chunk{};  // EVP adds a zero byte
  MutableByteView out = text.MutableView();
  for (ByteView left = secret; !left.empty();) {
    const ByteView input = left.first(std::min(kChunkBytes, left.size()));
    const auto size = static_cast<std::size_t>(
        EVP_EncodeBlock(chunk.data(), input.data(), static_cast<int>(input.size())));
    std::copy_n(chunk.data(), size, out.begin());
    out = out.subspan(size);
    left = left.subspan(input.size());
  }
  OPENSSL_cleanse(chunk.data(), chunk.size());
  return text;
}

}  // namespace kms
