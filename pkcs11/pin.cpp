// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/pin.h"

namespace kms::pkcs11 {

Result<SecretBytes> ReadPin(const PinSource& source) { return ReadSecret(source, "HSM PIN"); }

Result<SecretBytes> PinReader::Read() {
  if (!kept_.empty()) return kept_.Clone();
  SecretBytes pin = KMS_TRY(ReadPin(source_));
  if (source_.kind == PinSource::Kind::kDescriptor ||
      source_.kind == PinSource::Kind::kEnvironment) {
    kept_ = KMS_TRY(pin.Clone());
  }
  return pin;
}

}  // namespace kms::pkcs11
