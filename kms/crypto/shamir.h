// SPDX-License-Identifier: Apache-2.0
// Shamir's secret sharing: any `threshold` shares give the secret, fewer give nothing of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

inline constexpr std::size_t kMaxSecretShares = 32;

struct SecretShare {
  std::uint8_t number = 0;  // x, 1..32; public
  SecretBytes value;        // as long as the secret
};

// Each byte of the secret is the constant term of a polynomial of degree threshold - 1 over GF(2^8)
// (the field of AES: x^8 + x^4 + x^3 + x + 1) whose other coefficients are fresh and uniform; share
// n holds the values at x = n. Time does not depend on secret or shares.
//
// Shares 1..count. `secret` has 1 byte or more, 1 <= threshold <= count <= kMaxSecretShares.
// Errors: kInvalidArgument, kUnavailable (secret memory). Any thread.
Result<std::vector<SecretShare>> SplitSecret(const SecretBytes& secret, std::size_t threshold,
                                             std::size_t count);

// What exactly these shares give: the secret when they are at least `threshold` good ones of one
// split, anything else otherwise. The caller has to have a way to tell.
// Errors: kInvalidArgument (none, different sizes, a number twice or out of range), kUnavailable.
Result<SecretBytes> CombineShares(std::span<const SecretShare> shares);

}  // namespace kms
