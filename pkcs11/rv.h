// SPDX-License-Identifier: Apache-2.0
// Return values of Cryptoki: their names, and the one table of what each means for us.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/error.h"
#include "pkcs11/cryptoki.h"

namespace kms::pkcs11 {

// What a caller does about a return value.
enum class RvKind : std::uint8_t {
  kOk,
  kIntegrity,  // the input does not authenticate: never retried
  kAmbiguous,  // a damaged blob or a dead device: the sentinel decides
  kSession,    // a fresh session and another attempt
  kKeyHandle,  // find the key again and retry once
  kLogin,      // log in again and retry
  kDevice,     // the module must be initialised anew
  kBusy,       // fewer sessions, try later
  kAuth,       // the PIN: an operator must act, never retried
  kPolicy,     // the token does not do this, or not with this key
};

RvKind Classify(CK_RV rv);

// "CKR_DEVICE_ERROR (0x30)"; values without a name of ours give the number alone.
std::string RvName(CK_RV rv);

// The return value of one call.
struct Rv {
  CK_RV value = CKR_OK;
  std::string_view function;  // a literal, for example "C_Encrypt"

  [[nodiscard]] bool ok() const { return value == CKR_OK; }
  [[nodiscard]] RvKind kind() const { return Classify(value); }
  // Code and public text by kind; the detail names the function and the value.
  [[nodiscard]] Error ToError() const;
};

}  // namespace kms::pkcs11
