// SPDX-License-Identifier: Apache-2.0
// HMAC over every hash of the table, FIPS 198-1.
#pragma once

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/hash.h"

namespace kms {

// Errors: kInternal. Any thread; nothing of the key stays behind.
Result<HashValue> ComputeHmac(HashAlgorithm algorithm, ByteView key, ByteView message);

// Whether `expected` is the HMAC of `message`; constant time in its contents. A shortened value is
// none. Errors: kInternal.
Result<bool> CheckHmac(HashAlgorithm algorithm, ByteView key, ByteView message, ByteView expected);

}  // namespace kms
