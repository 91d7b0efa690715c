// SPDX-License-Identifier: Apache-2.0
// Reading the PIN from where the operator put it.
#pragma once

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

// The PIN without one trailing line end. A descriptor is read to its end and closed, an environment
// variable is wiped and unset: they can be read once. Errors: kFailedPrecondition, naming what to
// correct: missing, empty, longer than 255 bytes, holding NUL, or readable by others.
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
