// SPDX-License-Identifier: Apache-2.0
// Verify an HMAC that Hmac made (transit-api 6.17).
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/hash.h"
#include "kms/keys/key.h"

namespace kms {

struct VerifyHmacInput {
  HashAlgorithm algorithm = HashAlgorithm::kSha2_256;
  ByteView input;
  std::string_view hmac;  // "vault:vN:base64"
};

struct HmacVerdict {
  bool valid = false;
  KeyVersionNumber version = 0;  // that the HMAC claims
};

// A well-formed HMAC that is wrong, shortened or of another hash is not valid; that is no error.
// Versions and base64 have one spelling, as in ciphertexts. Any thread.
// Errors, kInvalidArgument: "invalid HMAC to verify: no prefix", "invalid HMAC: wrong number of
// fields", "invalid HMAC: version number could not be decoded", "invalid HMAC: version is too new",
// "cannot verify HMAC: version is too old (disallowed by policy)", "unable to decode verification
// HMAC as base64: ...".
Result<HmacVerdict> VerifyHmac(const Key& key, const VerifyHmacInput& input);

}  // namespace kms
