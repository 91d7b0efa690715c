// SPDX-License-Identifier: Apache-2.0
// The numbers of EC and RSA keys as decimal digits, which is how Transit backups spell them
// (transit-api 5.10).
#pragma once

#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

// Decimal digits without sign or leading zeros; empty where a key has no such number.
struct EcKeyNumbers {
  SecretBytes x, y, d;
};
struct RsaKeyNumbers {
  SecretBytes n, e, d, p, q, d_mod_p, d_mod_q, q_inverse;
};

// Errors: kInvalidArgument for keys of another kind; kUnavailable, kInternal.
Result<EcKeyNumbers> EcNumbersOf(const AsymmetricKey& key);
Result<RsaKeyNumbers> RsaNumbersOf(const AsymmetricKey& key);

struct EcKeyDigits {
  std::string_view x, y;
  std::optional<std::string_view> d;  // absent: the public half alone
};
struct RsaKeyDigits {
  std::string_view n, e;
  std::string_view d, p, q;  // all empty: the public half alone
};

// A key of these numbers, as sound as what kms/crypto/key_import.h lets in: with its errors and
// costs. Errors besides: kInvalidArgument for what are no digits.
Result<AsymmetricKey> KeyOfNumbers(AsymmetricAlgorithm algorithm, const EcKeyDigits& digits);
Result<AsymmetricKey> KeyOfNumbers(AsymmetricAlgorithm algorithm, const RsaKeyDigits& digits);

}  // namespace kms
