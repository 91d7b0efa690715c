// SPDX-License-Identifier: Apache-2.0
// What a caller says about a signature, in the words of the wire (transit-api 5.6, 6.16).
#pragma once

#include <string_view>

#include "kms/base/result.h"
#include "kms/crypto/signature.h"
#include "kms/keys/key.h"

namespace kms {

struct SignatureNames {
  std::string_view hash;         // "sha2-256", …, "none"
  std::string_view marshaling;   // "asn1", "jws"
  std::string_view scheme;       // RSA only: "" and "pss", "pkcs1v15"
  std::string_view salt_length;  // "auto", "hash", in any case, or a number
  bool prehashed = false;
};

// The same, understood as far as it can be without a key.
struct SignatureRequest {
  SignatureOptions options;
  std::string_view scheme;  // the caller's word: only an RSA key refuses one it does not know
};

// Errors: kInvalidArgument `invalid hash algorithm "x"`, `invalid marshaling type "x"`,
// "salt length neither 'auto', 'hash', nor an int: x", "salt length is invalid: N".
Result<SignatureRequest> ParseSignatureNames(const SignatureNames& names);

// Errors: kInvalidArgument "hash_algorithm=none requires both prehashed=true and
// signature_algorithm=pkcs1v15", whatever the key's type.
Status CheckUnhashed(const SignatureRequest& request);

// The options for a key. Errors: kInvalidArgument "unsupported rsa signature algorithm X".
Result<SignatureOptions> OptionsFor(const Key& key, const SignatureRequest& request);

}  // namespace kms
