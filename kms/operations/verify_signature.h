// SPDX-License-Identifier: Apache-2.0
// Verify a signature that Sign made (transit-api 5.6, 6.17).
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/signature_request.h"

namespace kms {

struct VerifySignatureInput {
  SignatureRequest request;
  ByteView context = {};  // derived keys need it, others ignore it
  ByteView input = {};
  std::string_view signature = {};  // "vault:vN:" and base64, for jws base64url
};

struct SignatureVerdict {
  bool valid = false;
  KeyVersionNumber version = 0;  // that the signature claims
};

// A well-formed signature that is wrong is not valid; that is no error. Versions and base64 have
// one spelling, as in ciphertexts. Any thread.
// Errors, kInvalidArgument: "invalid signature: no prefix", "invalid signature: wrong number of
// fields", "invalid signature: version number could not be decoded", "invalid signature: version is
// too new", "ciphertext or signature version is disallowed by policy (too old)", "invalid base64
// signature value", those of ChooseSigningKey, OptionsFor and VerifySignature of kms/crypto;
// kUnavailable, kInternal.
Result<SignatureVerdict> VerifySignature(const Key& key, const VerifySignatureInput& input);

}  // namespace kms
