// SPDX-License-Identifier: Apache-2.0
// Reading the PIN from where the operator put it.
#pragma once

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

// As ReadSecret, named as the HSM's PIN in errors.
Result<SecretBytes> ReadPin(const PinSource& source);

// Reads a PIN again and again: files anew each time, so that a corrected one is seen; what can be
// read only once is kept.
// Thread rule: one thread.
class PinReader {
 public:
  explicit PinReader(PinSource source) : source_(std::move(source)) {}
  Result<SecretBytes> Read();

 private:
  const PinSource source_;
  SecretBytes kept_;
};

}  // namespace kms::pkcs11
