// SPDX-License-Identifier: Apache-2.0
// Whether the numbers of an RSA key make a key that protects anything (failures C14).
#pragma once

#include <cstddef>

#include "kms/base/result.h"
#include "kms/crypto/encoded_key.h"

namespace kms::internal {

// The tests of kms/crypto/key_import.h for a modulus of exactly `modulus_bits`, those of the
// private half too when `key` has one. Errors: kInvalidArgument, the text being the reason alone;
// kUnavailable, kInternal. Any thread.
Status CheckRsaSoundness(const RsaNumbers& key, std::size_t modulus_bits);

}  // namespace kms::internal
