// SPDX-License-Identifier: Apache-2.0
// What PKCS #8 and SubjectPublicKeyInfo say, taken apart but not yet believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms::internal {

// Views into the encoding, which must outlive them. Numbers are big-endian without leading zeros.
// A public key has no `d`, `scalar` or `seed`.

struct RsaNumbers {  // RFC 8017, A.1
  ByteView n, e, d, p, q, d_mod_p, d_mod_q, q_inverse;
  bool has_private = false;
};

struct EcNumbers {                           // RFC 5915, RFC 5480
  std::optional<AsymmetricAlgorithm> curve;  // nullopt: one that the service does not have
  std::string curve_name;
  std::optional<ByteView> scalar;
  std::optional<ByteView> point;
};

struct Ed25519Numbers {  // RFC 8410
  std::optional<ByteView> seed;
  std::optional<ByteView> public_key;
};

using EncodedKey = std::variant<RsaNumbers, EcNumbers, Ed25519Numbers>;

// Errors: kInvalidArgument, the text being the reason alone.
Result<EncodedKey> ReadPrivateKeyInfo(ByteView der);
Result<EncodedKey> ReadPublicKeyInfo(ByteView der);

}  // namespace kms::internal
