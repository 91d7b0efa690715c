// SPDX-License-Identifier: Apache-2.0
// The envelope string `vault:v<version>:<base64>` (transit-api 5.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

struct ParsedCiphertext {
  KeyVersionNumber version = 0;
  std::string_view payload;  // base64, not yet decoded; points into the text
};

// Errors, kInvalidArgument with the texts of transit-api 5.1: "invalid ciphertext: no prefix",
// "invalid ciphertext: wrong number of fields", "invalid ciphertext: version number could not be
// decoded". Only digits without sign or leading zero are a version; 0 is read as 1.
Result<ParsedCiphertext> ParseCiphertext(std::string_view text);

// Checks a parsed version against a key: "invalid ciphertext: version is too new", "ciphertext or
// signature version is disallowed by policy (too old)". Errors: kInvalidArgument.
Status CheckCiphertextVersion(const ParsedCiphertext& ciphertext, const KeyPolicy& policy);

// Appends "vault:v<version>:" and the base64 of `payload`.
void AppendCiphertext(KeyVersionNumber version, ByteView payload, std::string& out);

}  // namespace kms
