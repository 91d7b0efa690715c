// SPDX-License-Identifier: Apache-2.0
// The modules that this service is proven on, and in what they differ: a difference is a row here,
// never an `if` in a test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/contract/master_key_device_contract.h"
#include "tests/support/nss_fixture.h"
#include "tests/support/opencryptoki_fixture.h"
#include "tests/support/p11kit_fixture.h"
#include "tests/support/softhsm_fixture.h"
#include "tests/support/swtpm_fixture.h"
#include "tests/support/vendor_token.h"

namespace kms::testing {

// SoftHSM as one vendor among others.
class SoftHsmVendor : public VendorToken {
 public:
  static bool IsInstalled() { return SoftHsmIsInstalled(); }
  SoftHsmVendor() {
    options_ = token_.options();
    ok_ = token_.ok();
  }

 private:
  SoftHsmToken token_;
};

struct Vendor {
  std::string name;  // letters and digits
  bool (*installed)();
  std::function<std::shared_ptr<VendorToken>()> make;
  DeviceTraits traits;

  // What negotiation chooses when nothing is pinned, and the others that pass.
  std::string best;
  std::vector<std::string> proven;
  // Further mechanisms that the contract is run with.
  std::vector<std::string> also_with;

  // What qualification reports: see pkcs11/qualification_*.cpp.
  std::string damaged_input;  // the return value, or "found by its digest"
  bool session_after_damage = true;
  std::string modifiable;          // CKA_MODIFIABLE=0: honoured, ignored, refused
  std::string allowed_mechanisms;  // likewise
  std::string same_id;             // two keys of one CKA_ID: "two objects" (H12), "one object"
  std::vector<std::string> resident_keys;
};

template <typename Token>
std::shared_ptr<VendorToken> MakeVendor() {
  return std::make_shared<Token>();
}

inline const std::vector<Vendor>& VendorTable() {
  static const std::vector<Vendor> table = {
      {.name = "SoftHsm",
       .installed = SoftHsmVendor::IsInstalled,
       .make = MakeVendor<SoftHsmVendor>,
       .traits = {},
       .best = "gcm-encrypt",
       .proven = {"gcm-encrypt", "kw-wrap", "oaep-sha256-raw"},
       .also_with = {"kw-wrap"},
       .damaged_input = "CKR_GENERAL_ERROR (0x5)",
       .session_after_damage = true,
       .modifiable = "honoured",
       .allowed_mechanisms = "honoured",
       .same_id = "two objects",
       .resident_keys = {"rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384",
                         "ecdsa-p521", "aes256-gcm96"}},
      {.name = "Nss",
       .installed = NssToken::IsInstalled,
       .make = MakeVendor<NssToken>,
       .traits = {},
       .best = "gcm-encrypt",
       .proven = {"gcm-encrypt", "gcm-encrypt/40-byte-parameters", "kwp-encrypt", "kw-encrypt",
                  "kwp-wrap", "kwp-wrap/value-length", "kw-wrap", "kw-wrap/value-length",
                  "oaep-sha256", "oaep-sha256-raw"},
       .also_with = {"kwp-encrypt"},
       .damaged_input = "CKR_ENCRYPTED_DATA_INVALID (0x40)",
       .session_after_damage = true,
       .modifiable = "honoured",
       .allowed_mechanisms = "ignored",
       .same_id = "one object",
       .resident_keys = {"rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384",
                         "ecdsa-p521", "aes256-gcm96"}},
      {.name = "P11Kit",
       .installed = P11KitToken::IsInstalled,
       .make = MakeVendor<P11KitToken>,
       .traits = {.patience = 4, .flip_every = 16},
       .best = "oaep-sha256-raw",
       .proven = {"oaep-sha256-raw"},
       .also_with = {},
       .damaged_input = "found by its digest",
       .session_after_damage = true,
       .modifiable = "honoured",
       .allowed_mechanisms = "not tested",
       .same_id = "two objects",
       .resident_keys = {"rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384",
                         "ecdsa-p521"}},
      {.name = "Opencryptoki",
       .installed = OpencryptokiToken::IsInstalled,
       .make = MakeVendor<OpencryptokiToken>,
       .traits = {.signs = false, .patience = 4, .flip_every = 16},
       .best = "oaep-sha256",
       .proven = {"oaep-sha256", "oaep-sha256-raw"},
       .also_with = {},
       .damaged_input = "CKR_FUNCTION_FAILED (0x6)",
       .session_after_damage = true,
       .modifiable = "refused",
       .allowed_mechanisms = "refused",
       .same_id = "two objects",
       .resident_keys = {"rsa-2048", "rsa-3072", "rsa-4096"}},
      {.name = "Swtpm",
       .installed = SwtpmToken::IsInstalled,
       .make = MakeVendor<SwtpmToken>,
       .traits = {.makes_import_keys = false, .patience = 6, .flip_every = 64},
       .best = "oaep-sha256",
       .proven = {"oaep-sha256", "oaep-sha256-raw"},
       .also_with = {},
       .damaged_input = "CKR_GENERAL_ERROR (0x5)",
       .session_after_damage = false,
       .modifiable = "refused",
       .allowed_mechanisms = "refused",
       .same_id = "two objects",
       .resident_keys = {"rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384"}},
  };
  return table;
}

}  // namespace kms::testing
