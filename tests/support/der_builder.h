// SPDX-License-Identifier: Apache-2.0
// Builds DER of keys, well-formed or not, from their numbers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "kms/base/bytes.h"
#include "tests/support/vectors.h"

namespace kms::testing {

inline Bytes Joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

inline Bytes DerElement(std::uint8_t tag, const Bytes& content) {
  Bytes element = {tag};
  if (content.size() < 0x80) {
    element.push_back(static_cast<std::uint8_t>(content.size()));
  } else if (content.size() < 0x100) {
    element.insert(element.end(), {0x81, static_cast<std::uint8_t>(content.size())});
  } else {
    element.insert(element.end(), {0x82, static_cast<std::uint8_t>(content.size() >> 8U),
                                   static_cast<std::uint8_t>(content.size() & 0xffU)});
  }
  element.insert(element.end(), content.begin(), content.end());
  return element;
}

inline Bytes DerSequence(std::initializer_list<Bytes> parts) {
  return DerElement(0x30, Joined(parts));
}

// From a big-endian magnitude, leading zeros or not.
inline Bytes DerInteger(Bytes magnitude) {
  while (!magnitude.empty() && magnitude.front() == 0) {
    magnitude.erase(magnitude.begin());
  }
  if (magnitude.empty() || magnitude.front() >= 0x80) {
    magnitude.insert(magnitude.begin(), 0);
  }
  return DerElement(0x02, magnitude);
}

inline Bytes DerOctets(const Bytes& content) { return DerElement(0x04, content); }
inline Bytes DerBits(const Bytes& content) { return DerElement(0x03, Joined({{0}, content})); }
inline Bytes DerIdentifier(std::string_view hex) { return DerElement(0x06, FromHex(hex)); }

inline constexpr std::string_view kRsaOid = "2a864886f70d010101";
inline constexpr std::string_view kRsaPssOid = "2a864886f70d01010a";
inline constexpr std::string_view kEcOid = "2a8648ce3d0201";
inline constexpr std::string_view kEd25519Oid = "2b6570";
inline constexpr std::string_view kP256Oid = "2a8648ce3d030107";
inline constexpr std::string_view kP384Oid = "2b81040022";
inline constexpr std::string_view kP521Oid = "2b81040023";

// PrivateKeyInfo and SubjectPublicKeyInfo around what they carry.
inline Bytes PrivateKeyInfo(const Bytes& algorithm, const Bytes& key) {
  return DerSequence({DerInteger({0}), algorithm, DerOctets(key)});
}
inline Bytes SubjectPublicKeyInfo(const Bytes& algorithm, const Bytes& key) {
  return DerSequence({algorithm, DerBits(key)});
}

inline Bytes EcAlgorithm(std::string_view curve_oid) {
  return DerSequence({DerIdentifier(kEcOid), DerIdentifier(curve_oid)});
}
inline Bytes EcPrivateKeyInfo(std::string_view curve_oid, const Bytes& scalar) {
  return PrivateKeyInfo(EcAlgorithm(curve_oid), DerSequence({DerInteger({1}), DerOctets(scalar)}));
}
inline Bytes EcPrivateKeyInfo(std::string_view curve_oid, const Bytes& scalar, const Bytes& point) {
  return PrivateKeyInfo(EcAlgorithm(curve_oid), DerSequence({DerInteger({1}), DerOctets(scalar),
                                                             DerElement(0xa1, DerBits(point))}));
}
inline Bytes EcPublicKeyInfo(std::string_view curve_oid, const Bytes& point) {
  return SubjectPublicKeyInfo(EcAlgorithm(curve_oid), point);
}

inline Bytes Ed25519PublicKeyInfo(const Bytes& public_key) {
  return SubjectPublicKeyInfo(DerSequence({DerIdentifier(kEd25519Oid)}), public_key);
}
inline Bytes Ed25519PrivateKeyInfo(const Bytes& seed) {
  return PrivateKeyInfo(DerSequence({DerIdentifier(kEd25519Oid)}), DerOctets(seed));
}

}  // namespace kms::testing
