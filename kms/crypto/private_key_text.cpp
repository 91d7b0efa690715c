// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/private_key_text.h"

#include <algorithm>
#include <array>
#include <optional>

#include "kms/base/base64.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/der.h"

namespace kms {

namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kLabels[] = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"};
constexpr std::string_view kEncryptedLabel = "ENCRYPTED PRIVATE KEY";
constexpr std::string_view kEncryptionHeader = "Proc-Type:";  // RFC 1421, what PKCS #1 files use

constexpr std::array<std::uint8_t, 9> kRsaEncryption = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                                        0x0d, 0x01, 0x01, 0x01};
constexpr std::array<std::uint8_t, 7> kEcPublicKey = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

constexpr std::size_t kEd25519SeedBytes = 32;
constexpr std::size_t kEd25519PairBytes = 64;

struct Block {
  std::string_view label;
  std::string_view body;  // between the boundaries
};

Error Encrypted() {
  return InvalidArgument(
      "the private key is encrypted; decrypt it first, for example with `openssl pkey`");
}

Error NoPrivateKey() {
  return InvalidArgument("not a private key in PKCS#8, PKCS#1 or SEC 1 form");
}

// Takes the next block off the front of `text`; nullopt when there is none.
std::optional<Block> TakeBlock(std::string_view& text) {
  const std::size_t begin = text.find(kBegin);
  if (begin == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(begin + kBegin.size());
  const std::size_t label_end = text.find(kDashes);
  if (label_end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view label = text.substr(0, label_end);
  text.remove_prefix(label_end + kDashes.size());
  const std::size_t end = text.find(kDashes);
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  const Block block{.label = label, .body = text.substr(0, end)};
  text.remove_prefix(end + kDashes.size());
  return block;
}

Result<SecretBytes> DecodeBody(std::string_view body) {
  SecretBytes room = KMS_TRY(SecretBytes::OfSize(Base64DecodedBound(body.size())));
  const Result<std::size_t> size = Base64DecodeInto(body, room.MutableView());
  if (!size) {
    return InvalidArgument("no private key in PEM format");
  }
  return SecretBytes::CopyOf(room.View().first(*size));
}

// PrivateKeyInfo ::= SEQUENCE { INTEGER 0, SEQUENCE { algorithm, parameters }, OCTET STRING key }
Result<SecretBytes> WrapInPkcs8(ByteView algorithm, DerTag parameter_tag, ByteView parameter,
                                ByteView key) {
  const std::size_t identifier =
      DerElementBytes(algorithm.size()) + DerElementBytes(parameter.size());
  const std::size_t content =
      DerElementBytes(1) + DerElementBytes(identifier) + DerElementBytes(key.size());
  SecretBytes info = KMS_TRY(SecretBytes::OfSize(DerElementBytes(content)));
  DerWriter writer(info.MutableView());
  writer.Head(DerTag::kSequence, content);
  writer.Unsigned({});
  writer.Head(DerTag::kSequence, identifier);
  writer.Head(DerTag::kObjectIdentifier, algorithm.size());
  writer.Raw(algorithm);
  writer.Head(parameter_tag, parameter.size());
  writer.Raw(parameter);
  writer.Head(DerTag::kOctetString, key.size());
  writer.Raw(key);
  return info;
}

// ECPrivateKey ::= SEQUENCE { INTEGER 1, OCTET STRING scalar, [0] curve, [1] point }; `reader` is
// behind the number. Empty when no curve is named.
Result<ByteView> TakeCurve(DerReader reader) {
  KMS_TRY(reader.Take(DerTag::kOctetString));
  if (!reader.NextIs(DerTag::kContext0)) {
    return ByteView();
  }
  DerReader parameters(KMS_TRY(reader.Take(DerTag::kContext0)));
  return parameters.TakeLast(DerTag::kObjectIdentifier);
}

Result<SecretBytes> FromSec1(const DerReader& reader, ByteView der) {
  const Result<ByteView> curve = TakeCurve(reader);
  if (!curve) {
    return NoPrivateKey();
  }
  if (curve->empty()) {
    return InvalidArgument("the EC private key does not name its curve");
  }
  return WrapInPkcs8(kEcPublicKey, DerTag::kObjectIdentifier, *curve, der);
}

// All three forms are a SEQUENCE that begins with a number.
Result<DerReader> ReadToNumber(ByteView der) {
  DerReader outer(der);
  DerReader reader(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  KMS_TRY(reader.TakeUnsigned());
  return reader;
}

}  // namespace

Result<SecretBytes> PrivateKeyInfoFromPem(std::string_view text) {
  while (const std::optional<Block> block = TakeBlock(text)) {
    const bool is_private = std::ranges::find(kLabels, block->label) != std::end(kLabels);
    if (block->label == kEncryptedLabel ||
        (is_private && block->body.find(kEncryptionHeader) != std::string_view::npos)) {
      return Encrypted();
    }
    if (is_private) {
      const SecretBytes der = KMS_TRY(DecodeBody(block->body));
      return PrivateKeyInfoFromDer(der.View());
    }
  }
  return InvalidArgument("no private key in PEM format");
}

Result<SecretBytes> PrivateKeyInfoFromDer(ByteView der) {
  const Result<DerReader> reader = ReadToNumber(der);
  if (!reader) {
    return NoPrivateKey();
  }
  if (reader->NextIs(DerTag::kSequence)) {
    return SecretBytes::CopyOf(der);
  }
  if (reader->NextIs(DerTag::kOctetString)) {
    return FromSec1(*reader, der);
  }
  if (reader->NextIs(DerTag::kInteger)) {
    return WrapInPkcs8(kRsaEncryption, DerTag::kNull, {}, der);
  }
  return NoPrivateKey();
}

Result<SecretBytes> PrivateKeyInfoFromEd25519(ByteView seed) {
  if (seed.size() != kEd25519SeedBytes && seed.size() != kEd25519PairBytes) {
    return InvalidArgument("a raw Ed25519 key has 32 bytes, or 64 with its public key");
  }
  const AsymmetricKey key = KMS_TRY(AsymmetricKey::FromEd25519Seed(seed.first(kEd25519SeedBytes)));
  const Bytes public_key = KMS_TRY(key.Ed25519PublicKey());
  if (seed.size() == kEd25519PairBytes &&
      !std::ranges::equal(public_key, seed.subspan(kEd25519SeedBytes))) {
    return InvalidArgument("the public key is not that of the Ed25519 seed");
  }
  return key.ToPkcs8();
}

}  // namespace kms
