// SPDX-License-Identifier: Apache-2.0
// Sign a caller's data under a key version (transit-api 5.6, 6.16).
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/signature_request.h"

namespace kms {

struct SignInput {
  SignatureRequest request;
  std::int64_t key_version = 0;  // 0: the latest
  ByteView context = {};         // derived keys need it, others ignore it
  ByteView input = {};
};

struct SignOutcome {
  std::string signature;  // "vault:vN:" and base64, for jws base64url
  KeyVersionNumber key_version = 0;
  Bytes public_key;  // of a derived key: the 32 bytes that verify this signature; else empty
};

// Any thread. Errors, kInvalidArgument: "requested version for signing is negative", "... is higher
// than the latest key version", "... is less than the minimum encryption key version", "... does
// not contain a private part", "no such key version", a missing context (5.4), those of
// OptionsFor and of CreateSignature about options and input; kUnavailable, kInternal; of a key in an
// HSM those of ResidentKeys and DigestToSign, and it blocks.
Result<SignOutcome> Sign(const Key& key, const SignInput& input);

}  // namespace kms
