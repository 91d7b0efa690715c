// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's big numbers, wiped when they go.
#pragma once

#include <openssl/bn.h>

#include <memory>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms::internal {

struct BigNumberDeleter {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
struct BigNumberContextDeleter {
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};
using BigNumber = std::unique_ptr<BIGNUM, BigNumberDeleter>;
using BigNumberContext = std::unique_ptr<BN_CTX, BigNumberContextDeleter>;

// From big-endian bytes, in secret memory and marked so that OpenSSL computes in constant time
// where it can. Errors: kUnavailable.
inline Result<BigNumber> SecretBigNumber(ByteView bytes) {
  BigNumber number(BN_secure_new());
  if (number == nullptr ||
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), number.get()) == nullptr) {
    return Unavailable("secret memory is exhausted");
  }
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

// From big-endian bytes that are no secret. Errors: kInternal.
inline Result<BigNumber> PublicBigNumber(ByteView bytes) {
  BigNumber number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (number == nullptr) {
    return Internal("no memory for a number");
  }
  return number;
}

}  // namespace kms::internal
